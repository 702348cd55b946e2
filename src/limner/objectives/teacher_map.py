"""The learned map from a teacher's vectors into the joint space, kept beside the model and not in it."""

from jaxtyping import Float
from torch import Tensor, nn

from limner.types import Embeddings

__all__ = ["TeacherMap"]


class TeacherMap(nn.Linear):
    """Unit vectors W t / |W t| for the teacher's vectors t."""

    def __init__(self, teacher_dim: int, embed_dim: int) -> None:
        super().__init__(teacher_dim, embed_dim, bias=False)

    def forward(self, input: Float[Tensor, "texts teacher_dim"]) -> Embeddings:
        """Return the place of each text in the joint space."""
        return nn.functional.normalize(super().forward(input), dim=-1)
