"""Several processes train one model, each on its part of every batch: how they meet, and what they tell each other."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed as ranks
from torch import nn

from limner.nn.gathering import are_several
from limner.types import ALONE, Rank

__all__ = [
    "average_gradients",
    "average_metrics",
    "is_first_rank",
    "joined_ranks",
    "own_rank",
    "wait_for_all_ranks",
]

_PATIENCE = timedelta(days=1)
"""The first rank may encode or judge a large set while the others wait; of a rank that died, torchrun tells them."""


@contextmanager
def joined_ranks() -> Iterator[bool]:
    """Meet the processes that torchrun started with this one, if any; yield whether this is the first of them."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield True
        return
    ranks.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield is_first_rank()
    finally:
        ranks.destroy_process_group()


def own_rank() -> Rank:
    """Return which of how many processes this is."""
    return Rank(ranks.get_rank(), ranks.get_world_size()) if are_several() else ALONE


def wait_for_all_ranks() -> None:
    """Go on when every process has come to this place."""
    if are_several():
        ranks.barrier()


def is_first_rank() -> bool:
    """Whether this process is the one that logs, judges and saves; alone, it is."""
    return not are_several() or ranks.get_rank() == 0


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients of every rank by their mean; all ranks have gradients of the same parameters."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not are_several() or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    ranks.all_reduce(flat)
    flat /= ranks.get_world_size()
    for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def average_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Return the means over the ranks, so that all of them judge a step alike."""
    if not are_several():
        return metrics
    values = torch.tensor(list(metrics.values()), dtype=torch.float64)
    ranks.all_reduce(values)
    return dict(zip(metrics, (values / ranks.get_world_size()).tolist(), strict=True))
