"""A relevance model ready for use: words and pictures become parts, and pairs of them scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image

from limner.data.pixels import stack_images
from limner.data.tokenizer import Tokenizer
from limner.errors import ModelError, UsageError
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, joined
from limner.search.embedder import load_with_tokenizer

__all__ = ["Reranker", "ScoreMatrix", "load_reranker"]

ScoreMatrix = Float32[np.ndarray, "queries documents"]

_BATCH_SIZE = 64
_DOCUMENTS_AT_ONCE = 1024


class Reranker:
    """A relevance model with its tokenizer, if it reads texts; `fingerprint` names exactly these weights."""

    def __init__(self, model: RelevanceModel, tokenizer: Tokenizer | None, *, name: str, fingerprint: str = "") -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.kind: str = model.config.kind

    @property
    def image_size(self) -> int:
        """The side of the square, in pixels, that pictures are fitted into."""
        return int(self.model.config.vision.image_size)

    @torch.inference_mode()
    def text_parts(self, texts: Sequence[str]) -> Parts:
        """Return what is kept of at least one text; texts longer than the model reads are cut.

        Raises:
            UsageError: if the model compares pictures only.
        """
        if self.tokenizer is None:
            raise UsageError(
                f"{self.name} compares pictures with pictures; ask with --picture alone, or leave out --rerank"
            )
        length = self.model.config.text.length
        encode = self.tokenizer.encode
        batches = (texts[start : start + _BATCH_SIZE] for start in range(0, len(texts), _BATCH_SIZE))
        return joined([self.model.text_parts(encode(batch, length)[0]) for batch in batches])

    @torch.inference_mode()
    def picture_parts(self, pictures: Sequence[Image.Image]) -> Parts:
        """Return what is kept of at least one picture, each padded to a square on white."""
        batches = (pictures[start : start + _BATCH_SIZE] for start in range(0, len(pictures), _BATCH_SIZE))
        return joined([self.model.picture_parts(stack_images(batch, self.image_size)) for batch in batches])

    @torch.inference_mode()
    def scores(self, queries: Parts, documents: Parts) -> ScoreMatrix:
        """Return the score of every document for every query; memory holds a part of the pairs at a time."""
        found = np.empty((len(queries), len(documents)), dtype=np.float32)
        for query in range(len(queries)):
            one = queries.take(torch.tensor([query]))
            for start in range(0, len(documents), _DOCUMENTS_AT_ONCE):
                rows = torch.arange(start, min(start + _DOCUMENTS_AT_ONCE, len(documents)))
                found[query, rows.numpy()] = self.model.all_scores(one, documents.take(rows))[0].float().numpy()
        return found


def load_reranker(model: str | Path) -> Reranker:
    """Return the re-ranker of a model folder, a run folder, or a shipped model's name.

    Raises:
        ModelError: if there is no such model, it is damaged, or it judges no pairs.
    """
    loaded, tokenizer, fingerprint = load_with_tokenizer(model)
    if not isinstance(loaded, RelevanceModel):
        raise ModelError(
            f"{model} is a {type(loaded).__name__}, which judges no pairs; train one: limner train ranking"
        )
    return Reranker(loaded, tokenizer, name=str(model), fingerprint=fingerprint)
