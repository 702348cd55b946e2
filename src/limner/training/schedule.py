"""Learning-rate factors as functions of the step."""

import math

__all__ = ["warmup_cosine"]


def warmup_cosine(step: int, *, num_steps: int, warmup_steps: int, final: float = 0.0) -> float:
    """Rise linearly to 1 over the warm-up, then fall to `final` along half a cosine (https://arxiv.org/abs/1608.03983)."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
