"""AdamW with parameter groups: no decay on vectors, a slower rate or none at all for named parts."""

from dataclasses import dataclass, field

import torch
from torch import nn

from limner.errors import UsageError

__all__ = ["OptimizerConfig", "build_optimizer"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW (https://arxiv.org/abs/1711.05101).

    `rates` maps the beginning of parameter names to a factor of the learning rate, the longest match counts; a factor
    of 0 locks that part (LiT, https://arxiv.org/abs/2111.07991), as in `{"vision": 0}`.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    rates: dict[str, float] = field(default_factory=dict)


def build_optimizer(objective: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return the optimiser of the unlocked parameters of an objective and its model; groups carry their `rate`.

    Raises:
        UsageError: if `rates` names a part that the model does not have, or locks all of it.
    """
    named = [(name.removeprefix("model."), parameter) for name, parameter in objective.named_parameters()]
    names = [name for name, _ in named]
    for prefix in config.rates:
        if not any(name.startswith(prefix) for name in names):
            parts = sorted({name.split(".")[0] for name in names})
            raise UsageError(f"optimizer.rates names '{prefix}', which begins no parameter; parts: {', '.join(parts)}")
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        rate = _rate(name, config.rates)
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            groups.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    if not groups:
        raise UsageError("optimizer.rates locks every part of the model; leave at least one free")
    return torch.optim.AdamW(
        [
            {"params": parameters, "rate": rate, "weight_decay": config.weight_decay if decays else 0.0}
            for (rate, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        fused=True,
    )


def _rate(name: str, rates: dict[str, float]) -> float:
    matching = [prefix for prefix in rates if name.startswith(prefix)]
    return rates[max(matching, key=len)] if matching else 1.0
