"""The one training loop: the only place where gradients are computed and weights change."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from limner.config import Count, NotNegative, Seed, Share, Whole
from limner.errors import TrainingError
from limner.objectives.base import Objective
from limner.training.averaging import WeightAverage, mixture
from limner.training.distributed import average_gradients, average_metrics, is_first_rank, own_rank
from limner.training.optimizer import OptimizerConfig, build_optimizer
from limner.training.precision import autocast
from limner.training.schedule import warmup_cosine
from limner.training.state import latest_state, load_state, save_state

__all__ = ["LoopConfig", "Monitor", "train"]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, how fast, how often; `accumulation_steps` batches make a step, `averaging_decay` 0 keeps no average.

    Of the weights that are judged and kept, `start_share` are those that the run started from. `seed` is of all that is
    drawn at random; `loader.seed` follows it when it is changed, unless that is said too.
    """

    num_steps: Count = 2000
    warmup_steps: Whole = 100
    final_rate: NotNegative = 0.0
    clip_norm: NotNegative = 1.0
    accumulation_steps: Count = 1
    averaging_decay: Share = 0.99
    start_share: Share = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    save_every: Count = 200
    validate_every: Count = 200
    seed: Seed = 0
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """What the loop calls: `log` with the metrics of a step, `validate` with the weights to judge, `keep` the best."""

    log: Callable[[int, dict[str, float]], None]
    validate: Callable[[nn.Module], dict[str, float]]
    keep: Callable[[nn.Module, int], None]
    judge: str = "mAP"


def train(
    objective: Objective,
    batches: Callable[[int], Iterator[Any]],
    config: LoopConfig,
    *,
    folder: Path,
    monitor: Monitor,
) -> nn.Module:
    """Train until `num_steps`, from the newest state in `folder` if there is one; return the weights to use.

    `batches(n)` is the stream from its n-th batch on. Randomness is seeded by the step, so a resumed run gives the
    weights of an uninterrupted one, bit for bit. Where `torch.distributed` is up, each process brings its part of the
    batches, all step by their mean gradient, and the first one logs, validates and saves.

    Raises:
        TrainingError: if the loss is not finite; the state before that step is saved first.
    """
    start = copy.deepcopy(objective.model) if config.start_share else None
    average = WeightAverage(objective.model, config.averaging_decay) if config.averaging_decay else None
    optimizer = build_optimizer(objective, config.optimizer, num_steps=config.num_steps)
    parts: dict[str, nn.Module] = {"objective": objective} | ({"average": average.model} if average else {})
    state = latest_state(folder)
    facts: dict[str, Any] = load_state(state, parts=parts, optimizer=optimizer) if state else {"step": 0, "best": None}
    step: int = facts["step"]
    best: float | None = facts["best"]
    stream = batches(step * config.accumulation_steps)

    def judged() -> nn.Module:
        model = average.model if average else objective.model
        return mixture(model, start, config.start_share) if start is not None else model

    while step < config.num_steps:
        started = time.perf_counter()
        metrics = _update(objective, stream, optimizer, config, step)
        if metrics is None:
            where = folder / f"step-{step:08d}"
            if is_first_rank():
                where = save_state(folder, step=step, parts=parts, optimizer=optimizer, facts={"best": best})
            raise TrainingError(
                f"the loss or its gradient is not finite at step {step}; the weights before it are in {where}: "
                "resume with a lower optimizer.learning_rate or with loop.precision=float32"
            )
        step += 1
        if average:
            average.update(objective.model, step)
        if not is_first_rank():
            continue
        monitor.log(step, metrics | {"seconds": time.perf_counter() - started})
        if step % config.validate_every == 0 or step == config.num_steps:
            found = judged()
            figures = _validate(found, monitor)
            monitor.log(step, {f"validation/{name}": value for name, value in figures.items()})
            if figures and (best is None or figures[monitor.judge] > best):
                best = figures[monitor.judge]
                monitor.keep(found, step)
        if step % config.save_every == 0 or step == config.num_steps:
            save_state(folder, step=step, parts=parts, optimizer=optimizer, facts={"best": best})
    return judged()


def _update(
    objective: Objective,
    stream: Iterator[Any],
    optimizer: torch.optim.Optimizer,
    config: LoopConfig,
    step: int,
) -> dict[str, float] | None:
    """Make one step and return its metrics; None, and no change, if loss or gradient is not finite."""
    torch.manual_seed(config.seed * 1_000_003 + step + own_rank().number * 1_000_000_007)
    _set_rates(optimizer, config, step)
    _train_mode(objective)
    optimizer.zero_grad(set_to_none=True)
    # A forward pass already moves running statistics; they go back if the step is not made.
    buffers = [buffer.clone() for buffer in objective.buffers()]
    totals: dict[str, float] = {}
    for _ in range(config.accumulation_steps):
        with autocast(objective, config.precision):
            output = objective(next(stream), step)
        (output.loss / config.accumulation_steps).backward()
        for name, value in (output.metrics | {"loss": output.loss.detach()}).items():
            totals[name] = totals.get(name, 0.0) + float(value) / config.accumulation_steps
    totals = average_metrics(totals)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    average_gradients(parameters)
    norm = float(nn.utils.clip_grad_norm_(parameters, config.clip_norm or math.inf))
    if not (math.isfinite(norm) and math.isfinite(totals["loss"])):
        for buffer, before in zip(objective.buffers(), buffers, strict=True):
            buffer.copy_(before)
        return None
    optimizer.step()
    highest = max(group["lr"] for group in optimizer.param_groups)
    return totals | {"gradient_norm": norm, "learning_rate": highest}


def _set_rates(optimizer: torch.optim.Optimizer, config: LoopConfig, step: int) -> None:
    """Give each group the rate of this step, and lock those whose span has not begun or is over."""
    for group in optimizer.param_groups:
        first, end = group["span"]
        learns = first <= step < end
        factor = 0.0
        if learns:
            factor = warmup_cosine(
                step - first, num_steps=end - first, warmup_steps=config.warmup_steps, final=config.final_rate
            )
        group["lr"] = config.optimizer.learning_rate * group["rate"] * factor
        for parameter in group["params"]:
            parameter.requires_grad_(learns)


def _train_mode(objective: Objective) -> None:
    """Put all in training mode but what is locked: running statistics of a locked tower stay as they are."""
    objective.train()
    _rest_locked(objective)


def _rest_locked(module: nn.Module) -> None:
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()  # with all that is in it, also what has no parameters
        return
    for child in module.children():
        _rest_locked(child)


def _validate(model: nn.Module, monitor: Monitor) -> dict[str, float]:
    was_training = model.training
    model.eval()
    figures = monitor.validate(model)
    model.train(was_training)
    return figures
