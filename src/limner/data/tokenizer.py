"""Byte-level byte-pair encoding, trained on the captions: any language, no unknown character."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer as Encoder
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from limner.config import Count, Share, Whole
from limner.data.bpe_dropout import DroppingEncoder
from limner.errors import ModelError
from limner.types import END_TOKEN, PADDING_TOKEN, START_TOKEN

__all__ = ["Tokenizer", "TokenizerConfig"]

_SPECIAL = {"<pad>": PADDING_TOKEN, "<start>": START_TOKEN, "<end>": END_TOKEN}
_LARGEST_FILE = 64 << 20


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How many kinds of token there are, and how often BPE-dropout skips a merge in training (1910.13267)."""

    vocab_size: Count = 8192
    min_frequency: Whole = 2
    dropout_rate: Share = 0.0


class Tokenizer:
    """Texts to token ids: NFKC, lower case, white space folded, then byte-pair merges."""

    def __init__(self, encoder: Encoder, *, dropout_rate: float = 0.0) -> None:
        self._encoder = encoder
        self._dropping = DroppingEncoder(encoder, dropout_rate) if dropout_rate else None
        self.vocab_size: int = encoder.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig) -> "Tokenizer":
        """Learn the merges from texts."""
        encoder = Encoder(models.BPE())
        encoder.normalizer = normalizers.Sequence(
            [
                normalizers.NFKC(),
                normalizers.Lowercase(),
                normalizers.Replace("\u0000", " "),
                normalizers.Strip(),
            ]
        )
        encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        encoder.decoder = decoders.ByteLevel()
        encoder.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                vocab_size=config.vocab_size,
                min_frequency=config.min_frequency,
                special_tokens=list(_SPECIAL),
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        return cls(encoder)

    @classmethod
    def load(cls, folder: Path, *, vocab_size: int | None = None) -> "Tokenizer":
        """Read `tokenizer.json` from a model folder, for a model that knows `vocab_size` tokens.

        Raises:
            ModelError: if it is missing or damaged, is another project's layout, or knows more tokens than the model.
        """
        path = folder / "tokenizer.json"
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise ModelError(f"{path} is larger than {_LARGEST_FILE >> 20} MiB; it is no tokenizer of this project")
            encoder = Encoder.from_str(path.read_text(encoding="utf-8"))
        except ModelError:
            raise
        except Exception as error:  # the library raises bare Exception for damaged files
            raise ModelError(f"{path} cannot be read ({error}); restore it from a copy") from None
        if any(encoder.token_to_id(token) != number for token, number in _SPECIAL.items()):
            raise ModelError(f"{path} lacks the special tokens {', '.join(_SPECIAL)} at the ids 0, 1 and 2")
        tokenizer = cls(encoder)
        if vocab_size is not None and tokenizer.vocab_size > vocab_size:
            raise ModelError(f"{path} knows more tokens than the model; restore both from one copy")
        return tokenizer

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into a model folder."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "tokenizer.json.partial"
        partial.write_text(json.dumps(json.loads(self._encoder.to_str()), ensure_ascii=False), encoding="utf-8")
        partial.replace(folder / "tokenizer.json")

    def encode(
        self, texts: Sequence[str], length: int, *, seeds: Sequence[Sequence[int]] | None = None
    ) -> tuple[Tensor, int]:
        """Return ids [text, length], padded at the end, and how many texts were cut to fit.

        With `seeds`, one a text, merges are left out at random if the tokenizer has a dropout rate.
        """
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates are no letters
        tokens = torch.full((len(texts), length), PADDING_TOKEN, dtype=torch.long)
        num_truncated = 0
        for row, ids in enumerate(self._ids(texts, seeds)):
            num_truncated += len(ids) > length - 2
            ids = [START_TOKEN, *ids[: length - 2], END_TOKEN]
            tokens[row, : len(ids)] = torch.tensor(ids)
        return tokens, num_truncated

    def word_token(self, word: str) -> int:
        """Return the token that a word is, or, where it takes several, the token of its first byte."""
        ids = self._encoder.encode(word, add_special_tokens=False).ids
        letter = self._encoder.token_to_id(word[0])
        return ids[0] if len(ids) == 1 or letter is None else letter

    def with_dropout(self, rate: float) -> "Tokenizer":
        """Return the same tokenizer with BPE-dropout for texts that are encoded with seeds."""
        return Tokenizer(self._encoder, dropout_rate=rate)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the normalised text of token ids, special tokens left out."""
        return self._encoder.decode([token for token in tokens if token >= len(_SPECIAL)]).strip()

    def _ids(self, texts: Sequence[str], seeds: Sequence[Sequence[int]] | None) -> list[list[int]]:
        if self._dropping and seeds is not None:
            return [self._dropping.encode(text, seed) for text, seed in zip(texts, seeds, strict=True)]
        return [encoding.ids for encoding in self._encoder.encode_batch_fast(list(texts), add_special_tokens=False)]
