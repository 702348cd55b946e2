"""The learned factor from cosines to scores: one over CLIP's temperature, https://arxiv.org/abs/2103.00020."""

import math

import torch
from torch import nn

from limner.types import Scalar

__all__ = ["clamped_scale", "log_scale_of"]


def log_scale_of(temperature: float) -> nn.Parameter:
    """Return the parameter log(1 / temperature), to learn from."""
    return nn.Parameter(torch.tensor(math.log(1 / temperature)))


def clamped_scale(log_scale: Scalar, max_scale: float) -> Scalar:
    """Return exp of the learned number, never above `max_scale`."""
    return log_scale.clamp(max=math.log(max_scale)).exp()
