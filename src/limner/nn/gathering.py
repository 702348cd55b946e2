"""Gathering across processes: a contrast over the batches of all ranks, with the gradient of one large batch.

Every rank scores all rows, its own and the others', and so has the loss of the whole batch. A rank's rows count in the
loss of every rank: their gradients are added up on the way back, and the mean over the ranks, which the loop takes, is
the gradient that one process would have had with the whole batch. Without `torch.distributed`, rows stay as they are.
"""

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch import distributed as ranks
from torch.nn import functional

from limner.nn.parts import Parts

__all__ = ["agreed", "are_several", "first_place", "gathered", "gathered_parts"]


def gathered(rows: Shaped[Tensor, "own ..."]) -> Shaped[Tensor, "all ..."]:
    """Return the rows of all ranks, in their order; every rank must bring equally many."""
    if not are_several():
        return rows
    return _Gather.apply(rows) if rows.is_floating_point() else _gather(rows)


def gathered_parts(parts: Parts) -> Parts:
    """Return the sequences of all ranks, in their order, as long as the longest."""
    if not are_several():
        return parts
    length = torch.tensor(parts.mask.shape[1], device=parts.mask.device)
    ranks.all_reduce(length, ranks.ReduceOp.MAX)
    missing = int(length) - parts.mask.shape[1]
    return Parts(
        vectors=gathered(functional.pad(parts.vectors, (0, 0, 0, missing))),
        mask=gathered(functional.pad(parts.mask, (0, missing))),
    )


def agreed(drawn: Tensor) -> Tensor:
    """Return what the first rank has drawn at random, to all of them."""
    if are_several():
        ranks.broadcast(drawn, 0)
    return drawn


def first_place(num_own: int) -> int:
    """Return where this rank's `num_own` rows begin once those of all ranks are gathered."""
    return ranks.get_rank() * num_own if are_several() else 0


class _Gather(torch.autograd.Function):
    """All ranks' rows; what they say of a rank's rows goes back to it, added up."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return _gather(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        ranks.all_reduce(total)
        return total.chunk(ranks.get_world_size())[ranks.get_rank()]


def _gather(rows: Tensor) -> Tensor:
    everything = [torch.empty_like(rows) for _ in range(ranks.get_world_size())]
    ranks.all_gather(everything, rows.contiguous())
    return torch.cat(everything)


def are_several() -> bool:
    """Return whether more than this process trains."""
    return ranks.is_available() and ranks.is_initialized() and ranks.get_world_size() > 1
