from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limner.errors import TrainingError, UsageError
from limner.objectives.base import Objective, StepOutput
from limner.training.loop import LoopConfig, Monitor, train
from limner.training.optimizer import OptimizerConfig, build_optimizer, is_part, orthogonalized
from limner.training.schedule import warmup_cosine
from limner.training.state import latest_state


class Regression(Objective):
    """A small network with dropout, so that a resumed run must also repeat its random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, 1))

    def forward(self, batch: Any, step: int) -> StepOutput:
        loss = (self.model(batch) - batch.sum(dim=1, keepdim=True)).square().mean()
        return StepOutput(loss, {"step": torch.tensor(float(step))})


def batches(start: int) -> Iterator[Tensor]:
    number = start
    while True:
        yield torch.randn(8, 4, generator=torch.Generator().manual_seed(number))
        number += 1


def quiet(log: Callable[[int, dict[str, float]], None] = lambda step, metrics: None) -> Monitor:
    return Monitor(log=log, validate=lambda model: {"mAP": 0.5}, keep=lambda model, step: None)


def config(**changes: Any) -> LoopConfig:
    values: dict[str, Any] = {"num_steps": 20, "warmup_steps": 3, "save_every": 5, "validate_every": 10}
    return LoopConfig(**values | changes, precision="float32", optimizer=OptimizerConfig(learning_rate=0.01))


def test_a_share_of_the_start_stays_in_what_is_kept(tmp_path: Path) -> None:
    plain = train(Regression(), batches, config(), folder=tmp_path / "plain", monitor=quiet()).state_dict()
    kept: list[nn.Module] = []
    monitor = Monitor(
        log=lambda step, metrics: None, validate=lambda model: {"mAP": 0.5}, keep=lambda model, step: kept.append(model)
    )
    mixed = train(Regression(), batches, config(start_share=0.25), folder=tmp_path / "mixed", monitor=monitor)
    start = Regression().model.state_dict()
    for name, value in mixed.state_dict().items():
        expected = plain[name].lerp(start[name], 0.25) if value.is_floating_point() else plain[name]
        torch.testing.assert_close(value, expected)
    assert len(kept) == 1 and not torch.equal(kept[0][0].weight, plain["0.weight"])


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 5, 13, 19])
@pytest.mark.parametrize(("accumulation_steps", "start_share"), [(1, 0.0), (2, 0.0), (1, 0.5)])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    killed_at: int, accumulation_steps: int, start_share: float, tmp_path: Path
) -> None:
    run = config(accumulation_steps=accumulation_steps, start_share=start_share)
    whole = train(Regression(), batches, run, folder=tmp_path / "whole", monitor=quiet())

    def kill(step: int, metrics: dict[str, float]) -> None:
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train(Regression(), batches, run, folder=tmp_path / "cut", monitor=quiet(kill))
    resumed = train(Regression(), batches, run, folder=tmp_path / "cut", monitor=quiet())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    log = quiet(lambda step, metrics: losses.append(metrics["loss"]) if "loss" in metrics else None)
    train(Regression(), batches, config(num_steps=300), folder=tmp_path, monitor=log)
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_accumulated_batches_give_the_gradient_of_their_mean() -> None:
    objective = Regression()
    objective.model = nn.Linear(4, 1)
    first, second = next(batches(0)), next(batches(1))
    loss = (objective(first, 0).loss + objective(second, 0).loss) / 2
    expected = torch.autograd.grad(loss, objective.model.weight)[0]
    (objective(first, 0).loss / 2).backward()
    (objective(second, 0).loss / 2).backward()
    torch.testing.assert_close(objective.model.weight.grad, expected)


def test_a_loss_that_is_not_finite_stops_with_the_weights_before_it_saved(tmp_path: Path) -> None:
    def poisoned(start: int) -> Iterator[Tensor]:
        for number, batch in enumerate(batches(start), start):
            yield batch if number != 7 else batch * float("nan")

    objective = Regression()
    with pytest.raises(TrainingError, match="not finite at step 7"):
        train(objective, poisoned, config(), folder=tmp_path, monitor=quiet())
    state = latest_state(tmp_path)
    assert state is not None and state.name == "step-00000007"
    assert all(torch.isfinite(tensor).all() for tensor in objective.model.state_dict().values())


def test_the_best_weights_by_validation_are_kept(tmp_path: Path) -> None:
    figures = iter([0.1, 0.5, 0.3, 0.4])
    kept: list[int] = []
    monitor = Monitor(
        log=lambda step, metrics: None,
        validate=lambda model: {"mAP": next(figures)},
        keep=lambda model, step: kept.append(step),
    )
    train(Regression(), batches, config(validate_every=5), folder=tmp_path, monitor=monitor)
    assert kept == [5, 10]


def test_a_torn_or_foreign_state_is_refused(tmp_path: Path) -> None:
    train(Regression(), batches, config(), folder=tmp_path, monitor=quiet())
    weights = tmp_path / "step-00000020" / "state.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(TrainingError, match="cannot be resumed"):
        train(Regression(), batches, config(), folder=tmp_path, monitor=quiet())


def test_half_written_states_are_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "step-00000009.partial").mkdir()
    assert latest_state(tmp_path) is None


def test_a_rate_of_zero_locks_a_part_and_leaves_it_bit_for_bit(tmp_path: Path) -> None:
    objective = Regression()
    before = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    run = LoopConfig(num_steps=5, precision="float32", optimizer=OptimizerConfig(rates={"0": 0.0, "1": 0.0}))
    train(objective, batches, run, folder=tmp_path, monitor=quiet())
    for name, tensor in objective.model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (not name.startswith("3")), name


def test_a_locked_part_keeps_statistics_that_have_no_weights_beside_them(tmp_path: Path) -> None:
    objective = Regression()
    objective.model[0] = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16, affine=False), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in objective.model[0].state_dict().items()}
    run = LoopConfig(num_steps=3, warmup_steps=1, precision="float32", optimizer=OptimizerConfig(rates={"0": 0.0}))
    train(objective, batches, run, folder=tmp_path, monitor=quiet())
    assert not objective.model[0][2].training and objective.model[2].training
    for name, value in objective.model[0].state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_part_learns_in_its_span_only_and_a_resumed_run_keeps_to_it(tmp_path: Path) -> None:
    spans = {"0": (3, 6), "": (0, 10)}
    run = LoopConfig(
        num_steps=10, warmup_steps=1, save_every=1, precision="float32", optimizer=OptimizerConfig(spans=spans)
    )
    whole, states = Regression(), []

    def look(step: int, metrics: dict[str, float]) -> None:
        states.append({name: tensor.clone() for name, tensor in whole.model.state_dict().items()})

    train(whole, batches, run, folder=tmp_path / "whole", monitor=quiet(look))
    changed = [not torch.equal(a["0.weight"], b["0.weight"]) for a, b in pairwise(states[:10])]
    assert changed == [step in (3, 4, 5) for step in range(1, 10)]
    assert all(not torch.equal(a["3.weight"], b["3.weight"]) for a, b in pairwise(states[:9]))

    def stop(step: int, metrics: dict[str, float]) -> None:
        if step == 5:
            raise Killed

    parts = tmp_path / "parts"
    with pytest.raises(Killed):
        train(Regression(), batches, run, folder=parts, monitor=quiet(stop))
    resumed = Regression()
    train(resumed, batches, run, folder=parts, monitor=quiet())
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_spans_that_leave_a_step_without_work_are_errors() -> None:
    for spans, words in (({"": (2, 9)}, "at step 0"), ({"": (0, 4)}, "at step 4"), ({"": (3, 3)}, "no step")):
        with pytest.raises(UsageError, match=words):
            build_optimizer(Regression().model, OptimizerConfig(spans=spans), num_steps=9)


def test_rates_of_unknown_or_all_parts_are_errors() -> None:
    model = Regression().model
    with pytest.raises(UsageError, match="begins no parameter"):
        build_optimizer(model, OptimizerConfig(rates={"vision": 0.1}), num_steps=5)
    with pytest.raises(UsageError, match="optimizer.muon names 'vision'"):
        build_optimizer(model, OptimizerConfig(muon={"vision": 1.0}), num_steps=5)
    with pytest.raises(UsageError, match="locks every part"):
        build_optimizer(model, OptimizerConfig(rates={"": 0.0}), num_steps=5)


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("blocks.1.weight", "blocks.1", True),
        ("blocks.1.weight", "blocks.1.", True),
        ("blocks.10.weight", "blocks.1", False),
        ("text_projection.weight", "text", False),
        ("bias", "bias", True),
        ("bias", "", True),
        ("blocks", "blocks.1", False),
    ],
)
def test_a_part_is_named_by_whole_words(name: str, part: str, expected: bool) -> None:
    assert is_part(name, part) is expected


def test_matrices_of_named_parts_step_by_muon_and_all_else_by_adamw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.training.optimizer.has_bfloat16", lambda device: True)  # as torch does, wherever it is

    def network() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    ours, theirs = network(), network()
    config = OptimizerConfig(learning_rate=0.01, muon={"2.": 0.5})
    matrix = theirs.get_parameter("2.weight")
    others = [parameter for parameter in theirs.parameters() if parameter is not matrix]
    groups: list[dict[str, Any]] = [
        {"params": [each for each in others if each.ndim == 2]},
        {"params": [each for each in others if each.ndim == 1], "weight_decay": 0.0},
    ]
    decay, betas, epsilon = config.weight_decay, config.betas, config.epsilon
    steps = [
        build_optimizer(ours, config, num_steps=9),
        torch.optim.Muon([matrix], 0.005, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, 0.01, betas=betas, eps=epsilon, weight_decay=decay, fused=True),
    ]
    for group in steps[0].param_groups:
        group["lr"] *= group["rate"]
    for _ in range(4):
        for model in (ours, theirs):
            model.zero_grad()
            model(torch.linspace(-1, 1, 12).view(2, 6)).square().sum().backward()
        for step in steps:
            step.step()
    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_convolution_steps_by_muon_as_the_matrix_that_it_is_and_one_of_single_channels_by_adamw() -> None:
    torch.manual_seed(0)
    convolution, linear = nn.Conv2d(4, 6, 1), nn.Linear(4, 6)
    linear.load_state_dict({"weight": convolution.weight.detach().flatten(1), "bias": convolution.bias})
    depthwise = nn.Conv2d(6, 6, 3, groups=6)
    config = OptimizerConfig(learning_rate=0.01, muon={"": 1.0})
    steps = [build_optimizer(model, config, num_steps=9) for model in (convolution, linear, depthwise)]
    assert [sorted(group["muon"] for group in step.param_groups) for step in steps] == [[0, 1], [0, 1], [0, 0]]
    pixels = torch.randn(5, 4, 1, 1)
    for _ in range(3):
        for model, seen in ((convolution, pixels), (linear, pixels.flatten(1))):
            model.zero_grad()
            model(seen).square().sum().backward()
        steps[0].step()
        steps[1].step()
    torch.testing.assert_close(convolution.weight.flatten(1), linear.weight, atol=1e-4, rtol=0)


def test_orthogonalized_matrices_have_singular_values_near_one_and_the_directions_of_the_given() -> None:
    torch.manual_seed(0)
    for shape in ((8, 8), (5, 40), (64, 12)):
        matrix = torch.randn(shape)
        found = orthogonalized(matrix)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        values = (left.T @ found @ right.T).diagonal()
        assert values.min() > 0.4 and values.max() < 1.4
        assert (left.T @ found @ right.T - values.diag()).abs().max() < 0.1


@pytest.mark.parametrize(("has_it", "error"), [(True, 1e-1), (False, 1e-5)])
def test_muon_computes_in_bfloat16_only_where_the_machine_does(
    has_it: bool, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.training.optimizer.has_bfloat16", lambda device: has_it)
    torch.manual_seed(0)
    matrix = torch.randn(24, 16)
    exact = matrix / matrix.norm()
    for _ in range(5):
        gram = exact @ exact.T
        exact = 3.4445 * exact + (-4.7750 * gram + 2.0315 * gram @ gram) @ exact
    found = (orthogonalized(matrix) - exact).abs().max()
    assert found < error and (found > 1e-4) == has_it


def test_a_resumed_run_with_muon_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    run = LoopConfig(num_steps=9, warmup_steps=2, save_every=3, optimizer=OptimizerConfig(muon={"": 1.0}))
    whole, stopped, resumed = Regression(), Regression(), Regression()
    train(whole, batches, run, folder=tmp_path / "whole", monitor=quiet())

    def stop(step: int, metrics: dict[str, float]) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(stopped, batches, run, folder=tmp_path / "parts", monitor=quiet(stop))
    train(resumed, batches, run, folder=tmp_path / "parts", monitor=quiet())
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_vectors_are_not_decayed() -> None:
    groups = build_optimizer(Regression().model, OptimizerConfig(weight_decay=0.3), num_steps=5).param_groups
    assert {(p.ndim >= 2, group["weight_decay"]) for group in groups for p in group["params"]} == {
        (True, 0.3),
        (False, 0.0),
    }


def test_the_schedule_rises_and_falls() -> None:
    factors = [warmup_cosine(step, num_steps=100, warmup_steps=10) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert factors[10] == 1.0 and factors[55] == pytest.approx(0.5) and factors[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in zip(factors[10:], factors[11:], strict=False))
