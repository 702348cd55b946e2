"""Sampling a category by the largest of noisy logits, and the relaxation through which gradients flow.

Gumbel-max: with g_k = -log(-log u_k), u_k uniform on (0, 1), argmax_k (g_k + log pi_k) has the law pi
(https://arxiv.org/abs/1611.00712, section 2.2).
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["gumbel_max", "gumbel_noise", "gumbel_softmax"]


def gumbel_noise(like: Float[Tensor, "*shape"], generator: torch.Generator | None = None) -> Float[Tensor, "*shape"]:
    """Return independent draws of -log(-log u) in the shape, kind and place of a tensor."""
    # -log u of a uniform u is exponential; drawing that directly never meets log 0.
    return -torch.empty_like(like).exponential_(generator=generator).clamp_min(torch.finfo(like.dtype).tiny).log()


def gumbel_max(
    logits: Float[Tensor, "*rows categories"], generator: torch.Generator | None = None
) -> Int[Tensor, "*rows"]:
    """Return a category of each row, drawn with the probabilities softmax(logits)."""
    return (logits + gumbel_noise(logits, generator)).argmax(dim=-1)


def gumbel_softmax(
    logits: Float[Tensor, "*rows categories"],
    temperature: float,
    *,
    hard: bool = False,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*rows categories"]:
    r"""Return the relaxed sample of each row.

    .. math:: y = \mathrm{softmax}((g + \log \pi) / \tau)

    As the temperature falls to 0, y tends to the one-hot vector of the Gumbel-max sample. `hard` returns that vector
    itself, with the gradient of y (straight-through, https://arxiv.org/abs/1611.01144, section 2.2).

    Raises:
        ValueError: unless the temperature is above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} is not above 0")
    relaxed = ((logits + gumbel_noise(logits, generator)) / temperature).softmax(dim=-1)
    if not hard:
        return relaxed
    chosen: Any = functional.one_hot(relaxed.argmax(dim=-1), relaxed.shape[-1])
    return chosen.to(relaxed.dtype) - relaxed.detach() + relaxed
