"""Which code follows: logits, narrowed to the likelier ones, and a random number become a choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from pydantic import Field
from torch import Tensor

from limner.config import NotNegative, Positive, Whole

__all__ = ["Sampling", "choose", "guided", "narrowed", "noise_of"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How boldly to draw: from logits over `temperature`, of the `top_k` likeliest (0: all) that hold `top_p` together.

    `guidance` above 1 draws closer to the prompt, 1 leaves the model as it is, 0 ignores the prompt. Unless
    something is asked for, the model draws as it learned to; `generation/defaults.py` has what commands ask for.
    """

    temperature: Positive = 1.0
    top_k: Whole = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    guidance: NotNegative = 1.0


def guided(
    prompted: Float[Tensor, "batch choices"], alone: Float[Tensor, "batch choices"], guidance: float
) -> Float[Tensor, "batch choices"]:
    """Return a + g (p - a): classifier-free guidance of logits (https://arxiv.org/abs/2207.12598)."""
    return alone + guidance * (prompted - alone)


def narrowed(logits: Float[Tensor, "batch choices"], how: Sampling) -> Float[Tensor, "batch choices"]:
    """Return logits over the temperature, -inf for what is left out; the likeliest is always kept.

    `top_p` keeps the fewest that hold this share of the probability (https://arxiv.org/abs/1904.09751).
    """
    logits = logits / how.temperature
    if 0 < how.top_k < logits.shape[1]:
        least = logits.topk(how.top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if how.top_p < 1:
        ranked, order = logits.sort(dim=1, descending=True)
        shares = ranked.softmax(dim=1)
        is_left_out = shares.cumsum(dim=1) - shares >= how.top_p
        logits = logits.masked_fill(is_left_out.gather(1, order.argsort(dim=1)), float("-inf"))
    return logits


def choose(logits: Float[Tensor, "batch choices"], noise: Float64[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Return for each row the choice at which the sum of probabilities passes its number in [0, 1)."""
    sums = logits.double().softmax(dim=1).cumsum(dim=1)
    place = torch.searchsorted(sums, noise[:, None] * sums[:, -1:], right=True)[:, 0]
    # A number next to 1 may round past the last choice that has any probability.
    last = (logits > float("-inf")).int().cumsum(dim=1).argmax(dim=1)
    return torch.minimum(place, last)


def noise_of(seeds: Sequence[tuple[int, ...]], length: int) -> Float64[Tensor, "batch length"]:
    """Return numbers in [0, 1) for each step of each sequence, from its own seed alone."""
    rows = [np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random(length) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, length, dtype=torch.float64)
