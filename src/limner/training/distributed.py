"""Several processes that train one model, each on its part of every batch: what they tell each other at a step."""

from collections.abc import Iterable

import torch
from torch import distributed as ranks
from torch import nn

from limner.objectives.gathering import are_several

__all__ = ["average_gradients", "average_metrics", "is_first_rank"]


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
