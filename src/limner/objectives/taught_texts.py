"""A text tower taught by a teacher of words, the pictures left alone: distillation into a small student.

What the teacher's vectors t say in the joint space, W t, is known from the run in which pictures learned from them
(`taught_images`). The text tower is drawn there, for captions in any language and for words that no picture shows.
"""

from dataclasses import dataclass
from typing import Literal

from limner.config import Count
from limner.losses.distillation import cosine_distance
from limner.models.clip import CLIP
from limner.objectives.base import Objective, StepOutput
from limner.objectives.clip import likeness
from limner.objectives.teacher_map import TeacherMap
from limner.types import LessonBatch

__all__ = ["TaughtTextsObjective", "TaughtTextsObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class TaughtTextsObjectiveConfig:
    """How wide the teacher's vectors are."""

    kind: Literal["taught_texts"] = "taught_texts"
    teacher_dim: Count = 384


class TaughtTextsObjective(Objective):
    """Draw the embeddings of texts to the teacher's, mapped by a W that stays as it is."""

    def __init__(self, model: CLIP, config: TaughtTextsObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config
        self.teacher_projection = TeacherMap(config.teacher_dim, model.config.embed_dim)

    def forward(self, batch: LessonBatch, step: int) -> StepOutput:
        """Return the mean of 1 - cos(f(text), W t), and how alike the embeddings are."""
        texts = self.model.encode_texts(batch.tokens)
        taught = self.teacher_projection(batch.teacher)
        return StepOutput(cosine_distance(texts, taught.detach()), {"text_likeness": likeness(texts.detach())})
