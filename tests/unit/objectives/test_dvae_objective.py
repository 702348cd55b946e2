import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from limner.models.dvae import DVAE, DVAEConfig
from limner.nn.codebooks import (
    CodebookConfig,
    CosineCodebook,
    CosineCodebookConfig,
    DenseCodebookConfig,
    FiniteScalarCodebookConfig,
    NearestCodebookConfig,
    RelaxedCodebook,
)
from limner.nn.hybrid import HybridConfig, HybridStage
from limner.nn.transformer import TransformerConfig
from limner.objectives.dvae import CodeUse, DVAEObjective, DVAEObjectiveConfig, bounds, use_of_codes
from limner.objectives.schedules import cosine_between
from limner.types import PictureBatch

SMALL = TransformerConfig(dim=16, depth=1, num_heads=2)
CODEBOOKS: dict[str, CodebookConfig] = {
    "cosine": CosineCodebookConfig(feature_dim=4),
    "dense": DenseCodebookConfig(),
    "finite_scalar": FiniteScalarCodebookConfig(levels=(4, 3, 2)),
    "nearest": NearestCodebookConfig(feature_dim=4),
}


def build(codebook: str = "cosine", **settings: object) -> DVAEObjective:
    torch.manual_seed(0)
    network = HybridConfig(stages=(HybridStage(dim=8),), code_dim=6, encoder=SMALL, decoder=SMALL)
    model = DVAE(DVAEConfig(image_size=16, num_codes=24, network=network, codebook=CODEBOOKS[codebook]))
    return DVAEObjective(model, DVAEObjectiveConfig(**settings), num_steps=100, epoch_steps=4)


def some_batch(batch: int = 4) -> PictureBatch:
    return PictureBatch(images=torch.rand(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1)))


def seeded_loss(objective: DVAEObjective, batch: PictureBatch, step: int = 50) -> Tensor:
    torch.manual_seed(2)
    return objective(batch, step).loss


def test_a_cosine_goes_from_one_end_to_the_other_and_stays_there() -> None:
    found = [cosine_between(1.0, 0.25, progress) for progress in (-1.0, 0.0, 1 / 3, 0.5, 1.0, 9.0)]
    assert found == pytest.approx([1.0, 1.0, 0.8125, 0.625, 0.25, 0.25])


def test_temperature_falls_and_the_weight_of_the_divergence_rises() -> None:
    objective = build(kl_weight=6.6, temperature_share=0.5, kl_share=0.1)
    seen = [objective(some_batch(), step).metrics for step in (0, 5, 10, 25, 50, 99)]
    temperatures = [found["temperature"].item() for found in seen]
    weights = [found["kl_weight"].item() for found in seen]
    assert temperatures[0] == 1.0 and temperatures[-2:] == [1 / 16, 1 / 16]
    assert temperatures[3] == pytest.approx((1 + 1 / 16) / 2) and temperatures == sorted(temperatures, reverse=True)
    assert weights == pytest.approx([0.0, 3.3, 6.6, 6.6, 6.6, 6.6])


@pytest.mark.parametrize("codebook", sorted(CODEBOOKS))
@pytest.mark.parametrize("likelihood", ["logit_laplace", "gaussian", "laplace"])
def test_every_codebook_learns_with_every_likelihood(codebook: str, likelihood: str) -> None:
    objective = build(codebook, likelihood=likelihood)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = seeded_loss(objective, some_batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses) and losses[-1] < losses[0]


def test_the_loss_is_the_bound_turned_round_once_its_weight_is_one() -> None:
    objective = build(kl_weight=1.0)
    torch.manual_seed(2)
    found = objective(some_batch(), 60)
    assert found.loss.item() == pytest.approx(-found.metrics["relaxed_bound"].item(), rel=1e-5)
    nats, divergence = found.metrics["nats"].item(), found.metrics["divergence"].item()
    assert found.loss.item() == pytest.approx(nats + divergence * 16 / 768, rel=1e-5)


@pytest.mark.parametrize("codebook", sorted(CODEBOOKS))
def test_at_the_end_the_decoder_learns_what_likeliest_codes_leave_and_nothing_else_moves(codebook: str) -> None:
    objective = build(codebook, decoder_share=0.25, likelihood="laplace", revive_after=1)
    model, images = objective.model, some_batch().images
    objective(some_batch(), 74).loss.backward()
    assert codebook == "nearest" or any(parameter.grad is not None for parameter in model.codebook.parameters())
    objective.zero_grad()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for step in range(75, 100):
        objective.train()
        loss = objective(some_batch(), step).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    says = ("decoder.", "codebook.table", "codebook.expand")
    assert moved and all(name.startswith(says) for name in moved), moved
    model.load_state_dict(before)
    model.eval()
    expected = ((images - model.reconstruct(images)).abs() / 0.1 + math.log(0.2)).mean()
    assert losses[0] == pytest.approx(expected.item(), abs=1e-3)


def test_the_loss_does_not_depend_on_how_often_a_batch_repeats_itself() -> None:
    """Of one picture, copied: no part of the loss adds up over the batch. Rounding draws no noise."""
    objective = build("finite_scalar")
    one = some_batch(1).images
    values = [objective(PictureBatch(images=one.expand(n, -1, -1, -1)), 50).loss.item() for n in (1, 2, 8)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)
    objective = build("cosine")
    values = [
        objective(PictureBatch(images=one.expand(n, -1, -1, -1)), 50).metrics["divergence"].item() for n in (1, 2, 8)
    ]
    assert values == pytest.approx([values[0]] * 3, rel=1e-4)


def test_the_pictures_of_the_caller_are_left_alone() -> None:
    batch = some_batch()
    before = batch.images.clone()
    build(revive_after=1)(batch, 50).loss.backward()
    assert torch.equal(batch.images, before)


def test_a_certain_code_costs_the_log_of_the_number_of_codes() -> None:
    found = build("nearest")(some_batch(), 50).metrics
    assert found["divergence"].item() == pytest.approx(math.log(24), rel=1e-5)


def test_straight_through_decodes_single_codes() -> None:
    hard, soft = build(straight_through=True, temperature=1e-4, final_temperature=1e-4), build(temperature=1e-4)
    soft.config = replace(soft.config, final_temperature=1e-4)
    assert seeded_loss(hard, some_batch()).item() == pytest.approx(seeded_loss(soft, some_batch()).item(), rel=1e-4)
    warm = build(straight_through=True), build()
    assert seeded_loss(warm[0], some_batch(), 0).item() != pytest.approx(seeded_loss(warm[1], some_batch(), 0).item())


def test_the_gap_of_the_bounds_closes_with_the_temperature() -> None:
    objective = build().requires_grad_(False)
    found = [
        bounds(objective.model, some_batch(16).images, replace(objective.config, final_temperature=temperature))
        for temperature in (1.0, 0.1, 1e-5)
    ]
    assert torch.equal(found[0]["bound"], found[2]["bound"])
    gaps = [float((each["relaxed_bound"] - each["bound"]).abs().mean()) for each in found]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-5


def test_use_is_counted_over_an_epoch() -> None:
    use = CodeUse(5, epoch_steps=2)
    for step, codes in enumerate(([0, 0, 1, 1], [2, 2, 3, 3], [0, 0, 0, 0])):
        use.count(torch.tensor(codes).view(1, 2, 2), step)
        if step == 1:
            assert use.figures()["usage"].item() == pytest.approx(0.8)
    found = use.figures()
    assert found["usage"].item() == pytest.approx(0.8) and found["perplexity"].item() == pytest.approx(4)
    assert use.running.tolist() == [4, 0, 0, 0, 0] and use.idle.tolist() == [0, 2, 1, 1, 3]


def test_accumulated_batches_of_one_step_belong_to_one_epoch() -> None:
    use = CodeUse(4, epoch_steps=1)
    for step in (0, 0, 1, 1):
        use.count(torch.full((1, 1, 1), 2 * step), step)
    assert use.last.tolist() == [2, 0, 0, 0] and use.running.tolist() == [0, 0, 2, 0]


def test_perplexity_is_the_number_of_codes_used_alike() -> None:
    assert use_of_codes(torch.tensor([7, 7, 0, 7]))["perplexity"].item() == pytest.approx(3)
    assert use_of_codes(torch.tensor([9, 0, 0, 0]))["perplexity"].item() == pytest.approx(1)


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("codebook", ["cosine", "dense"])
def test_dead_codes_come_to_life_and_say_what_was_said_there(codebook: str, halved: bool) -> None:
    objective = build(codebook).requires_grad_(False)
    book = objective.model.codebook
    assert isinstance(book, RelaxedCodebook)
    images = some_batch(2).images
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=halved):
        features = objective.model.features(images)
    before = book.codes(features)
    dead = torch.bincount(before.flatten(), minlength=24) == 0
    assert bool(dead.any())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=halved):
        book.revive(dead, features)
    after = book.codes(features)
    assert bool(dead[after].any()), "revived codes are chosen"
    untouched = ~dead[after]
    assert torch.equal(after[untouched], before[untouched])
    alike = (book.table[dead][:, None] == book.table[~dead][None]).all(dim=2)
    assert bool(alike.any(dim=1).all()), "the decoder is told nothing that it was not told before"


def test_codes_are_revived_after_so_many_batches_and_only_until_the_share() -> None:
    objective = build(revive_after=3, revive_share=0.5)
    book = objective.model.codebook
    assert isinstance(book, CosineCodebook)
    directions = [book.directions.detach().clone()]
    for step in (0, 1, 2, 3):
        objective(some_batch(), step)
        directions.append(book.directions.detach().clone())
    assert torch.equal(directions[0], directions[3]) and not torch.equal(directions[3], directions[4])
    objective.use.idle.fill_(9)
    objective(some_batch(), 50)
    assert torch.equal(book.directions.detach(), directions[4])


def test_counts_are_saved_with_the_run_but_not_with_the_model() -> None:
    objective = build()
    objective(some_batch(), 0)
    assert any(name.startswith("use.") for name in objective.state_dict()) and objective.own_state() == {}
