"""Weights and temperatures as functions of the share of a run that is done."""

import math

__all__ = ["cosine_between"]


def cosine_between(start: float, end: float, progress: float) -> float:
    """Return a number on half a cosine from `start`, at a progress of 0, to `end`, from a progress of 1 on.

    The dVAE's schedules have this form (https://arxiv.org/abs/2102.12092, appendix A.2).
    """
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
