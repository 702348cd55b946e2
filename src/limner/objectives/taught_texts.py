"""A text tower taught by a teacher of words, the pictures left alone: distillation into a small student.

What the teacher's vectors t say in the joint space, W t, is known from the run in which pictures learned from them
(`taught_images`). The text tower is drawn there, for captions in any language and for words that no picture shows. It
is too small to say all of it, so it also learns what W t is for: how likely each of many pictures is for a text
(affinity mimicking, https://arxiv.org/abs/2309.12314, section 3.1).
"""

from dataclasses import dataclass
from typing import Literal

import torch

from limner.config import Count, NotNegative
from limner.losses.distillation import cosine_distance, kl_from_teacher
from limner.losses.similarity import dot_product
from limner.models.clip import CLIP
from limner.objectives.base import Objective, StepOutput
from limner.objectives.clip import likeness
from limner.objectives.teacher_map import TeacherMap
from limner.types import Embeddings, LessonBatch

__all__ = ["TaughtTextsObjective", "TaughtTextsObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class TaughtTextsObjectiveConfig:
    """How wide the teacher's vectors are, what the order of pictures weighs, and how many are ordered in a step."""

    kind: Literal["taught_texts"] = "taught_texts"
    teacher_dim: Count = 384
    order_weight: NotNegative = 0.0
    num_ordered: Count = 2048


class TaughtTextsObjective(Objective):
    """Draw the embeddings of texts to the teacher's, mapped by a W that stays as it is."""

    pictures: Embeddings

    def __init__(self, model: CLIP, config: TaughtTextsObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config
        self.teacher_projection = TeacherMap(config.teacher_dim, model.config.embed_dim)
        self.register_buffer("pictures", torch.zeros(0, model.config.embed_dim), persistent=False)

    def show(self, pictures: Embeddings) -> None:
        """Set the embeddings of such pictures as will be searched; without any, no order is learned."""
        self.pictures = pictures

    def forward(self, batch: LessonBatch, step: int) -> StepOutput:
        """Return the mean of 1 - cos(f(text), W t) and of the divergence over pictures, and how alike texts are."""
        texts = self.model.encode_texts(batch.tokens)
        taught = self.teacher_projection(batch.teacher).detach()
        distance = cosine_distance(texts, taught)
        metrics = {"distance": distance.detach(), "text_likeness": likeness(texts.detach())}
        if not self.config.order_weight or not len(self.pictures):
            return StepOutput(distance, metrics)
        pictures, scale = self._drawn(step), self.model.scale().detach()
        divergence = kl_from_teacher(dot_product(texts, pictures) * scale, dot_product(taught, pictures) * scale)
        return StepOutput(
            distance + self.config.order_weight * divergence, metrics | {"divergence": divergence.detach()}
        )

    def _drawn(self, step: int) -> Embeddings:
        """Return embeddings of other pictures at every step, the same at each run of a step."""
        draw = torch.Generator().manual_seed(step)
        rows = torch.randint(len(self.pictures), (self.config.num_ordered,), generator=draw)
        return self.pictures[rows.to(self.pictures.device)]
