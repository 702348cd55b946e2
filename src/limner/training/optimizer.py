"""AdamW with parameter groups: no decay on vectors; named parts learn slower, not at all, or in a span of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import torch
from pydantic import Field
from torch import nn

from limner.config import NotNegative
from limner.errors import UsageError

__all__ = ["OptimizerConfig", "build_optimizer"]

Value = TypeVar("Value")
_Decay = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW (https://arxiv.org/abs/1711.05101).

    `rates` maps the beginning of parameter names to a factor of the learning rate, the longest match counts; a factor
    of 0 locks that part (LiT, https://arxiv.org/abs/2111.07991), as in `{"vision": 0}`. `spans` maps them likewise to
    the first step in which a part learns and the one in which it no longer does, as in `{"vision": (300, 2000)}`; it
    has a warm-up and a cosine of its own there, and is locked before and after.
    """

    learning_rate: NotNegative = 1e-3
    weight_decay: NotNegative = 0.1
    betas: tuple[_Decay, _Decay] = (0.9, 0.98)
    epsilon: NotNegative = 1e-6
    rates: dict[str, NotNegative] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)


def build_optimizer(objective: nn.Module, config: OptimizerConfig, *, num_steps: int) -> torch.optim.AdamW:
    """Return the optimiser of the parameters of an objective and its model that ever learn in `num_steps` steps.

    Its groups carry their `rate` and their `span`.

    Raises:
        UsageError: if `rates` or `spans` names a part that the model does not have, a span is empty, or nothing learns.
    """
    named = [(name.removeprefix("model."), parameter) for name, parameter in objective.named_parameters()]
    _check(config, [name for name, _ in named])
    groups: dict[tuple[float, tuple[int, int], bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        rate = _longest_match(name, config.rates, 1.0)
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            span = _longest_match(name, config.spans, (0, num_steps))
            groups.setdefault((rate, span, parameter.ndim >= 2), []).append(parameter)
    if not groups:
        raise UsageError("optimizer.rates locks every part of the model; leave at least one free")
    spans = {span for _, span, _ in groups}
    for step in sorted({0} | {end for _, end in spans if end < num_steps}):
        if not any(first <= step < end for first, end in spans):
            raise UsageError(f"optimizer.spans leaves nothing to learn at step {step}")
    return torch.optim.AdamW(
        [
            {"params": parameters, "rate": rate, "span": span, "weight_decay": config.weight_decay if decays else 0.0}
            for (rate, span, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        fused=True,
    )


def _check(config: OptimizerConfig, names: Sequence[str]) -> None:
    for field_name, values in (("rates", config.rates), ("spans", config.spans)):
        for prefix in values:
            if not any(name.startswith(prefix) for name in names):
                parts = ", ".join(sorted({name.split(".")[0] for name in names}))
                raise UsageError(f"optimizer.{field_name} names '{prefix}', which begins no parameter; parts: {parts}")
    for prefix, (first, end) in config.spans.items():
        if not 0 <= first < end:
            raise UsageError(f"optimizer.spans gives '{prefix}' no step to learn in: {first} to {end}")


def _longest_match(name: str, values: Mapping[str, Value], otherwise: Value) -> Value:
    matching = [prefix for prefix in values if name.startswith(prefix)]
    return values[max(matching, key=len)] if matching else otherwise
