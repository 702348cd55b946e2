"""An objective turns a batch into a loss; the loop knows nothing else."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor, nn

from limner.types import Scalar

__all__ = ["Objective", "StepOutput"]


class StepOutput(NamedTuple):
    """The loss to descend, and detached numbers to look at."""

    loss: Scalar
    metrics: dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A model and what it is trained for."""

    model: nn.Module

    @abstractmethod
    def forward(self, batch: Any, step: int) -> StepOutput:
        """Return loss and metrics of one batch."""
