"""AdamW and Muon with parameter groups: named parts learn slower, not at all, or in a span of steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import torch
from pydantic import Field
from torch import nn

from limner.config import NotNegative
from limner.errors import UsageError

__all__ = ["AdamWWithMuon", "OptimizerConfig", "build_optimizer"]

Value = TypeVar("Value")
_Decay = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW (https://arxiv.org/abs/1711.05101), without decay on vectors.

    `rates` maps the beginning of parameter names to a factor of the learning rate, the longest match counts; a factor
    of 0 locks that part (LiT, https://arxiv.org/abs/2111.07991), as in `{"vision": 0}`. `spans` maps them likewise to
    the first step in which a part learns and the one in which it no longer does, as in `{"vision": (300, 2000)}`; it
    has a warm-up and a cosine of its own there, and is locked before and after. `muon` names the beginnings of parts
    whose matrices step by Muon (https://arxiv.org/abs/2502.16982) in place of AdamW, as in `["transformer"]`.
    """

    learning_rate: NotNegative = 1e-3
    weight_decay: NotNegative = 0.1
    betas: tuple[_Decay, _Decay] = (0.9, 0.98)
    epsilon: NotNegative = 1e-6
    rates: dict[str, NotNegative] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    muon: tuple[str, ...] = ()


class AdamWWithMuon(torch.optim.Optimizer):
    """Two optimisers that step as one: groups with `muon` step by Muon, as far as AdamW would, and the others by AdamW.

    Muon steps along the nearest orthogonal matrix to its momentum, so that every direction of a matrix learns alike.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], config: OptimizerConfig) -> None:
        rate = config.learning_rate
        adamw = [group for group in groups if not group["muon"]]
        muon = [group for group in groups if group["muon"]]
        self._parts: list[torch.optim.Optimizer] = []
        if adamw:
            self._parts.append(torch.optim.AdamW(adamw, rate, betas=config.betas, eps=config.epsilon, fused=True))
        if muon:
            self._parts.append(torch.optim.Muon(muon, rate, adjust_lr_fn="match_rms_adamw"))
        super().__init__([group for part in self._parts for group in part.param_groups], {"lr": rate})
        self._share()

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one step by the gradients that are there."""
        assert closure is None, "no step here evaluates the loss again"
        for part in self._parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        for part in self._parts:
            is_muon = isinstance(part, torch.optim.Muon)
            part.param_groups = [group for group in self.param_groups if group["muon"] == is_muon]
            part.state = self.state


def build_optimizer(objective: nn.Module, config: OptimizerConfig, *, num_steps: int) -> AdamWWithMuon:
    """Return the optimiser of the parameters of an objective and its model that ever learn in `num_steps` steps.

    Its groups carry their `rate` and their `span`.

    Raises:
        UsageError: if `rates`, `spans` or `muon` names a part that the model does not have, a span is empty, or nothing
            learns.
    """
    named = [(name.removeprefix("model."), parameter) for name, parameter in objective.named_parameters()]
    _check(config, [name for name, _ in named])
    groups: dict[tuple[float, tuple[int, int], bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        rate = _longest_match(name, config.rates, 1.0)
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            span = _longest_match(name, config.spans, (0, num_steps))
            by_muon = parameter.ndim == 2 and name.startswith(config.muon)
            groups.setdefault((rate, span, parameter.ndim >= 2, by_muon), []).append(parameter)
    if not groups:
        raise UsageError("optimizer.rates locks every part of the model; leave at least one free")
    spans = {span for _, span, _, _ in groups}
    for step in sorted({0} | {end for _, end in spans if end < num_steps}):
        if not any(first <= step < end for first, end in spans):
            raise UsageError(f"optimizer.spans leaves nothing to learn at step {step}")
    decay = config.weight_decay
    return AdamWWithMuon(
        [
            {
                "params": parameters,
                "rate": rate,
                "span": span,
                "muon": by_muon,
                "weight_decay": decay if decays else 0.0,
            }
            for (rate, span, decays, by_muon), parameters in groups.items()
        ],
        config,
    )


def _check(config: OptimizerConfig, names: Sequence[str]) -> None:
    for field_name, values in (("rates", config.rates), ("spans", config.spans), ("muon", config.muon)):
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
