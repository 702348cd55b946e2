"""Pictures taught by a teacher of words: CLIP whose text tower is, for now, a frozen sentence model.

The teacher's vectors t are mapped into the joint space by a matrix W, which is learned here and kept beside the model.
Vectors of texts that no picture of the batch has are further negatives: they cost a product, not a text tower. A text
tower of its own then learns to say W t (`taught_texts`), with the pictures left alone.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from limner.config import Count, Share
from limner.losses.contrastive import symmetric_info_nce
from limner.losses.selection import same_concept_or_text
from limner.losses.similarity import cosine, dot_product
from limner.models.clip import CLIP
from limner.nn.gathering import gathered
from limner.objectives.base import Objective, StepOutput
from limner.objectives.clip import likeness
from limner.objectives.teacher_map import TeacherMap
from limner.types import CaptionedBatch

__all__ = ["TaughtImagesObjective", "TaughtImagesObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class TaughtImagesObjectiveConfig:
    """How wide the teacher's vectors are, and from which cosine on two texts mean too much the same to be negatives."""

    kind: Literal["taught_images"] = "taught_images"
    teacher_dim: Count = 384
    most_alike: Share = 0.8


class TaughtImagesObjective(Objective):
    """Contrast pictures with the teacher's vectors of their texts and of texts that have no picture in the batch."""

    def __init__(self, model: CLIP, config: TaughtImagesObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config
        self.teacher_projection = TeacherMap(config.teacher_dim, model.config.embed_dim)

    def forward(self, batch: CaptionedBatch, step: int) -> StepOutput:
        """Return the contrast of a batch, its accuracy among all texts, scale and how alike the embeddings are."""
        assert batch.teacher is not None and batch.lessons is not None
        images = gathered(self.model.encode_images(batch.images))
        teacher, lessons = gathered(batch.teacher), gathered(batch.lessons)
        texts = self.teacher_projection(torch.cat([teacher, lessons]))
        relevance = same_concept_or_text(gathered(batch.concepts), gathered(batch.texts))
        further = torch.zeros(len(images), len(lessons), dtype=torch.bool, device=relevance.device)
        is_other = cosine(teacher, lessons) < self.config.most_alike
        scores = dot_product(images, texts) * self.model.scale()
        relevance = torch.cat([relevance, further], dim=1)
        mask = torch.cat([torch.ones_like(relevance[:, : len(images)]), is_other], dim=1)
        best = scores.masked_fill(~mask, float("-inf")).argmax(dim=1, keepdim=True)
        metrics = {
            "accuracy": relevance.gather(1, best).float().mean(),
            "scale": self.model.scale().detach(),
            "image_likeness": likeness(images.detach()),
        }
        return StepOutput(symmetric_info_nce(scores, relevance, mask), metrics)
