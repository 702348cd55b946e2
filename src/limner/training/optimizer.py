"""AdamW and Muon with parameter groups: named parts learn slower, not at all, or in a span of steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from limner.config import NotNegative, Positive
from limner.errors import UsageError
from limner.training.precision import has_bfloat16

__all__ = ["AdamWWithMuon", "OptimizerConfig", "build_optimizer", "is_part", "orthogonalized"]

_MOMENTUM = 0.95
_NUM_ITERATIONS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Of the polynomial whose repetition brings singular values near 1 soonest, https://kellerjordan.github.io/posts/muon/."""
_LEAST_NORM = 1e-7

Value = TypeVar("Value")
_Decay = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW (https://arxiv.org/abs/1711.05101), without decay on vectors.

    `rates` maps parts of the model (`is_part`) to a factor of the learning rate, the longest name counts; a factor of 0
    locks that part (LiT, https://arxiv.org/abs/2111.07991), as in `{"vision": 0}`. `spans` maps them likewise to the
    first step in which a part learns and the one in which it no longer does, as in `{"vision": (300, 2000)}`; it has a
    warm-up and a cosine of its own there, and is locked before and after. `muon` maps parts whose matrices step by Muon
    (https://arxiv.org/abs/2502.16982) in place of AdamW to a further factor of the rate.
    """

    learning_rate: NotNegative = 1e-3
    weight_decay: NotNegative = 0.1
    betas: tuple[_Decay, _Decay] = (0.9, 0.98)
    epsilon: NotNegative = 1e-6
    rates: dict[str, NotNegative] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    muon: dict[str, Positive] = field(default_factory=dict)


class AdamWWithMuon(torch.optim.AdamW):
    r"""AdamW; groups with `muon` step by Muon, along the nearest orthogonal matrix to the gradient's moving average.

    .. math:: W \leftarrow (1 - \eta\lambda) W - 0.2 \eta \sqrt{\max(m, n)}\, U V^T,
        \qquad U \Sigma V^T = \mu M + (1 - \mu) G, \quad M \leftarrow \mu M + (1 - \mu) G

    So all directions of an m x n matrix learn alike, in steps as large as AdamW's. The weights of a convolution are one
    matrix, from all that an output sees to the outputs.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one step by the gradients that are there."""
        assert closure is None, "no step here evaluates the loss again"
        groups = self.param_groups
        for group in groups:
            if group["muon"]:
                self._muon_step(group)
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = groups

    def _muon_step(self, group: dict[str, Any]) -> None:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:  # counted, as AdamW expects of every state that it loads
                state |= {"step": torch.zeros(()), "average": torch.zeros_like(parameter)}
            state["step"] += 1
            average = state["average"]
            average.lerp_(parameter.grad, 1 - _MOMENTUM)
            ahead = parameter.grad.lerp(average, _MOMENTUM).flatten(1)
            step = orthogonalized(ahead).view_as(parameter)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(step, alpha=0.2 * group["lr"] * max(ahead.shape) ** 0.5)


def orthogonalized(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Return nearly U V^T of a matrix U S V^T: five steps of Newton and Schulz leave singular values of 0.7 to 1.2."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if is_tall else matrix).to(torch.bfloat16 if has_bfloat16(matrix.device.type) else torch.float32)
    x = x / x.norm().clamp(min=_LEAST_NORM)
    for _ in range(_NUM_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return (x.T if is_tall else x).to(matrix.dtype)


def is_part(name: str, part: str) -> bool:
    """Return whether a parameter is of a part, named by how its name begins: "" is all, `blocks.1` not `blocks.10`."""
    return not part or name == part or name.startswith(part.removesuffix(".") + ".")


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
            by_muon = _is_matrix(parameter) and any(is_part(name, part) for part in config.muon)
            rate *= _longest_match(name, config.muon, 1.0) if by_muon else 1.0
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
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        fused=True,
    )


def _is_matrix(parameter: Tensor) -> bool:
    """Whether outputs mix several inputs: in linear layers and convolutions, but not in those of one channel each."""
    return parameter.ndim in (2, 4) and parameter.shape[1] > 1


def _check(config: OptimizerConfig, names: Sequence[str]) -> None:
    for field_name, values in (("rates", config.rates), ("spans", config.spans), ("muon", config.muon)):
        for part in values:
            if not any(is_part(name, part) for name in names):
                parts = ", ".join(sorted({name.split(".")[0] for name in names}))
                raise UsageError(f"optimizer.{field_name} names '{part}', which begins no parameter; parts: {parts}")
    for part, (first, end) in config.spans.items():
        if not 0 <= first < end:
            raise UsageError(f"optimizer.spans gives '{part}' no step to learn in: {first} to {end}")


def _longest_match(name: str, values: Mapping[str, Value], otherwise: Value) -> Value:
    matching = [part for part in values if is_part(name, part)]
    return values[max(matching, key=len)] if matching else otherwise
