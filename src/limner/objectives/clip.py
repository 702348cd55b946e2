"""CLIP's objective: scores of all pairs of a batch, softmax or sigmoid, optionally in chunks with exact gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from limner.config import Whole
from limner.losses.contrastive import sigmoid_pairs, symmetric_info_nce
from limner.losses.selection import same_concept_or_text
from limner.losses.similarity import dot_product
from limner.models.clip import CLIP
from limner.nn.gathering import gathered
from limner.objectives.base import Objective, StepOutput
from limner.types import CaptionedBatch, Embeddings

__all__ = ["CLIPObjective", "CLIPObjectiveConfig", "likeness"]


@dataclass(frozen=True, kw_only=True)
class CLIPObjectiveConfig:
    """Which loss, and how many rows a tower holds at a time (0: the whole batch).

    With `chunk_size`, activations are kept for one chunk only and computed again for the gradient, which stays that
    of the whole batch (gradient caching, https://arxiv.org/abs/2101.06983).
    """

    kind: Literal["contrast"] = "contrast"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    chunk_size: Whole = 0


class CLIPObjective(Objective):
    """Contrast the pictures of a batch with its texts."""

    def __init__(self, model: CLIP, config: CLIPObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config

    def forward(self, batch: CaptionedBatch, step: int) -> StepOutput:
        """Return the loss of a batch, and its accuracy, scale and how alike the embeddings have become."""
        images = gathered(_encode(self.model.encode_images, batch.images, self.config.chunk_size))
        texts = gathered(_encode(self.model.encode_texts, batch.tokens, self.config.chunk_size))
        relevance = same_concept_or_text(gathered(batch.concepts), gathered(batch.texts))
        scores = dot_product(images, texts) * self.model.scale()
        right = relevance.gather(1, scores.argmax(dim=1, keepdim=True))
        metrics = {
            "accuracy": right.float().mean().detach(),
            "scale": self.model.scale().detach(),
            "image_likeness": likeness(images.detach()),
            "text_likeness": likeness(texts.detach()),
        }
        if self.config.loss == "sigmoid":
            return StepOutput(sigmoid_pairs(scores + self.model.bias, relevance), metrics)
        return StepOutput(symmetric_info_nce(scores, relevance), metrics)


def _encode(encode: Callable[[Tensor], Embeddings], inputs: Tensor, chunk_size: int) -> Embeddings:
    if not chunk_size or len(inputs) <= chunk_size:
        return encode(inputs)
    return torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in inputs.split(chunk_size)])


def likeness(embeddings: Embeddings) -> Float[Tensor, ""]:
    """Return the mean cosine of two different rows: near 1 means that the tower says the same of everything."""
    count = len(embeddings)
    total = embeddings.sum(dim=0).square().sum() - embeddings.square().sum()
    return total / max(count * (count - 1), 1)
