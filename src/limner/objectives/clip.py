"""CLIP's objective: scores of all pairs of a batch, softmax or sigmoid, optionally in chunks with exact gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from limner.losses.contrastive import sigmoid_pairs, symmetric_info_nce
from limner.losses.selection import same_concept_or_text
from limner.losses.similarity import dot_product
from limner.models.clip import CLIP
from limner.objectives.base import Objective, StepOutput
from limner.types import CaptionedBatch, Embeddings

__all__ = ["CLIPObjective", "CLIPObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class CLIPObjectiveConfig:
    """Which loss, and how many rows a tower holds at a time (0: the whole batch).

    With `chunk_size`, activations are kept for one chunk only and computed again for the gradient, which stays that
    of the whole batch (gradient caching, https://arxiv.org/abs/2101.06983).
    """

    loss: Literal["softmax", "sigmoid"] = "softmax"
    chunk_size: int = 0


class CLIPObjective(Objective):
    """Contrast the pictures of a batch with its texts."""

    def __init__(self, model: CLIP, config: CLIPObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config

    def forward(self, batch: CaptionedBatch, step: int) -> StepOutput:
        """Return the loss of a batch, and its accuracy, scale and how alike the embeddings have become."""
        images = self._encode(self.model.encode_images, batch.images)
        texts = self._encode(self.model.encode_texts, batch.tokens)
        relevance = same_concept_or_text(batch.concepts, batch.texts)
        scores = dot_product(images, texts) * self.model.scale()
        if self.config.loss == "sigmoid":
            loss = sigmoid_pairs(scores + self.model.bias, relevance)
        else:
            loss = symmetric_info_nce(scores, relevance)
        right = relevance.gather(1, scores.argmax(dim=1, keepdim=True))
        return StepOutput(
            loss,
            {
                "accuracy": right.float().mean().detach(),
                "scale": self.model.scale().detach(),
                "image_likeness": _likeness(images.detach()),
                "text_likeness": _likeness(texts.detach()),
            },
        )

    def _encode(self, encode: Callable[[Tensor], Embeddings], inputs: Tensor) -> Embeddings:
        if not self.config.chunk_size or len(inputs) <= self.config.chunk_size:
            return encode(inputs)
        chunks = inputs.split(self.config.chunk_size)
        return torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])


def _likeness(embeddings: Embeddings) -> Float[Tensor, ""]:
    """Return the mean cosine of two different rows: near 1 means that the tower says the same of everything."""
    count = len(embeddings)
    total = embeddings.sum(dim=0).square().sum() - embeddings.square().sum()
    return total / max(count * (count - 1), 1)
