"""Metric learning: pictures of one concept near each other, the hardest pairs of a batch first (ViT-Triplet).

Batch-hard triplets of unit vectors (https://arxiv.org/abs/1703.07737) are what the extractor of STIR is trained with
(https://arxiv.org/abs/2304.13393).
"""

from dataclasses import dataclass
from typing import Literal

import torch

from limner.config import NotNegative, Positive
from limner.losses.contrastive import symmetric_info_nce
from limner.losses.selection import same_concept_or_text, same_label, without_self
from limner.losses.similarity import dot_product, unit_euclidean
from limner.losses.triplet import soft_triplet, triplet_margin
from limner.losses.triplet_selection import batch_hard
from limner.models.clip import CLIP
from limner.nn.gathering import gathered
from limner.objectives.base import Objective, StepOutput
from limner.objectives.clip import likeness
from limner.types import CaptionedBatch, Distances, Embeddings, Relevance, Scalar

__all__ = ["MetricObjective", "MetricObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class MetricObjectiveConfig:
    """Triplets with a margin, or soft ones, whose distances are multiplied by `sharpness`.

    `words_weight` weighs CLIP's own contrast with the captions beside the triplets, so that words go on finding the
    pictures; at 0 the text tower is left as it was.
    """

    kind: Literal["metric"] = "metric"
    loss: Literal["triplet", "soft_triplet"] = "triplet"
    margin: NotNegative = 0.15
    sharpness: Positive = 10.0
    words_weight: NotNegative = 0.0


class MetricObjective(Objective):
    """For each picture of a batch: its farthest positive nearer than its nearest negative."""

    def __init__(self, model: CLIP, config: MetricObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config

    def forward(self, batch: CaptionedBatch, step: int) -> StepOutput:
        """Return the loss of a batch, and how many pictures have one of their own concept as the nearest other.

        A batch without a triplet, such as one of a single concept, has a loss of 0.
        """
        vectors = gathered(self.model.encode_images(batch.images))
        concepts = gathered(batch.concepts)
        relevance = same_label(concepts, concepts)
        distances = unit_euclidean(vectors, vectors)
        loss = self._triplets(distances, relevance)
        metrics = {
            "accuracy": _nearest_is_right(distances.detach(), relevance),
            "image_likeness": likeness(vectors.detach()),
        }
        if self.config.words_weight:
            words = self._words(vectors, batch)
            loss = loss + self.config.words_weight * words
            metrics["words_loss"] = words.detach()
        return StepOutput(loss, metrics)

    def _triplets(self, distances: Distances, relevance: Relevance) -> Scalar:
        chosen = batch_hard(distances, without_self(relevance), ~relevance)
        if self.config.loss == "soft_triplet":
            return soft_triplet(distances * self.config.sharpness, chosen)
        return triplet_margin(distances, chosen, margin=self.config.margin)

    def _words(self, vectors: Embeddings, batch: CaptionedBatch) -> Scalar:
        scores = dot_product(vectors, gathered(self.model.encode_texts(batch.tokens))) * self.model.scale()
        return symmetric_info_nce(scores, same_concept_or_text(gathered(batch.concepts), gathered(batch.texts)))


def _nearest_is_right(distances: Distances, relevance: Relevance) -> Scalar:
    """Return the share of rows whose nearest other row is relevant."""
    others = distances.masked_fill(torch.eye(len(distances), dtype=torch.bool, device=distances.device), float("inf"))
    return relevance.gather(1, others.argmin(dim=1, keepdim=True)).float().mean()
