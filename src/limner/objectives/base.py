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

    def own_state(self) -> dict[str, Tensor]:
        """Return what is learned beside the model, such as the map from a teacher's vectors."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("model.")}

    @abstractmethod
    def forward(self, batch: Any, step: int) -> StepOutput:
        """Return loss and metrics of one batch."""
