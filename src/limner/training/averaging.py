"""Weights that are validated and kept: the exponential moving average, and a mixture with those of the start."""

import copy

import torch
from torch import nn

__all__ = ["WeightAverage", "mixture"]


class WeightAverage:
    """A second copy of a model: average <- decay * average + (1 - decay) * weights, decay ramped up from 0."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the weights; buffers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)


@torch.no_grad()
def mixture(model: nn.Module, start: nn.Module, start_share: float) -> nn.Module:
    """Return a model of whose weights `start_share` are those of the start (https://arxiv.org/abs/2109.01903).

    What tuning gains lies mostly on the straight line back to the start, and what it forgets does not.
    """
    mixed = copy.deepcopy(model)
    begun = start.state_dict()
    for name, value in mixed.state_dict().items():
        if value.is_floating_point():
            value.lerp_(begun[name], start_share)
    return mixed
