"""CLIP with a teacher of words: its sentence vectors lead the text tower where captions are few.

The teacher's vectors t, mapped into the joint space by a matrix W that is learned here and not kept, are contrasted
with the pictures beside the student's own; the student's text embedding is drawn to W t, of captions and of texts that
have no picture. Words that no caption uses then lie where the teacher's neighbours of them lie.
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import nn
from torch.nn import functional

from limner.config import Count, NotNegative, Whole
from limner.losses.distillation import cosine_distance
from limner.models.clip import CLIP
from limner.objectives.base import Objective, StepOutput
from limner.objectives.clip import CLIPObjectiveConfig, contrast, encode
from limner.types import CaptionedBatch

__all__ = ["TaughtCLIPObjective", "TaughtCLIPObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class TaughtCLIPObjectiveConfig:
    """The student's own loss, and the weights of the teacher's contrast and of the lessons.

    Until step `student_from` pictures learn from the teacher's vectors alone and the text tower is left out.
    """

    kind: Literal["taught"] = "taught"
    student: CLIPObjectiveConfig = field(default_factory=CLIPObjectiveConfig)
    teacher_dim: Count = 384
    contrast_weight: NotNegative = 1.0
    lesson_weight: NotNegative = 1.0
    student_from: Whole = 0


class TaughtCLIPObjective(Objective):
    """Contrast pictures with texts and with the teacher's vectors, and draw texts to the teacher."""

    def __init__(self, model: CLIP, config: TaughtCLIPObjectiveConfig) -> None:
        super().__init__()
        self.model: CLIP = model
        self.config = config
        self.teacher_projection = nn.Linear(config.teacher_dim, model.config.embed_dim, bias=False)

    def forward(self, batch: CaptionedBatch, step: int) -> StepOutput:
        """Return the sum of the student's loss, the teacher's contrast and the distance of lessons."""
        assert batch.teacher is not None and batch.lesson_tokens is not None and batch.lesson_teacher is not None
        taught = functional.normalize(self.teacher_projection(batch.teacher), dim=-1)
        if step < self.config.student_from:
            images = self.model.encode_images(batch.images)
            return contrast(self.model, images, taught, batch)
        images, texts = encode(self.model, batch, self.config.student.chunk_size)
        own = contrast(self.model, images, texts, batch, loss=self.config.student.loss)
        by_teacher = contrast(self.model, images, taught, batch).loss
        lessons = self.model.encode_texts(batch.lesson_tokens)
        targets = functional.normalize(self.teacher_projection(batch.lesson_teacher), dim=-1)
        distance = cosine_distance(lessons, targets.detach()) + cosine_distance(texts, taught.detach())
        loss = own.loss + self.config.contrast_weight * by_teacher + self.config.lesson_weight * distance
        return StepOutput(loss, own.metrics | {"by_teacher": by_teacher.detach(), "lesson": distance.detach()})
