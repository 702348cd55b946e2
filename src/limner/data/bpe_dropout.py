"""BPE-dropout with a seed: merges are left out at random, so that rare pieces are learned too."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Encoder

__all__ = ["DroppingEncoder"]


class DroppingEncoder:
    """Applies the merges of a byte-pair encoder, each with a chance (https://arxiv.org/abs/1910.13267, algorithm 1).

    The library's own dropout cannot be seeded, and a resumed run must read what an uninterrupted one reads.
    """

    def __init__(self, encoder: Encoder, rate: float) -> None:
        model: dict[str, Any] = json.loads(encoder.to_str())["model"]
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        self._encoder = encoder
        self._rate = rate
        self._vocabulary: dict[str, int] = model["vocab"]
        self._ranks = {(left, right): rank for rank, (left, right) in enumerate(pairs)}

    def encode(self, text: str, seed: Sequence[int]) -> list[int]:
        """Return token ids; the same seed gives the same ids."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
        normal = self._encoder.normalizer.normalize_str(text)
        words = [word for word, _ in self._encoder.pre_tokenizer.pre_tokenize_str(normal)]
        return [self._vocabulary[piece] for word in words for piece in self._split(word, generator)]

    def _split(self, word: str, generator: np.random.Generator) -> list[str]:
        pieces = list(word)
        while len(pieces) > 1:
            kept = generator.random(len(pieces) - 1) >= self._rate
            ranked = [
                (self._ranks[pair], place)
                for place, pair in enumerate(zip(pieces, pieces[1:], strict=False))
                if kept[place] and pair in self._ranks
            ]
            if not ranked:
                break
            place = min(ranked)[1]
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return pieces
