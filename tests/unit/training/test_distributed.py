"""Two processes with half a batch each train as one does with the whole."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.objectives.test_clip import CONFIG, small_batch
from tests.unit.objectives.test_dvae_objective import build as build_dvae
from tests.unit.objectives.test_ranking_objective import ITEMS, QUERIES, build, side
from torch import Tensor, distributed, multiprocessing

from limner.models.clip import CLIP
from limner.objectives.base import Objective
from limner.objectives.clip import CLIPObjective, CLIPObjectiveConfig
from limner.objectives.metric import MetricObjective, MetricObjectiveConfig
from limner.objectives.ranking import RankingObjective, RankingObjectiveConfig
from limner.objectives.ranking_losses import FROM_NOISE, LOSSES
from limner.objectives.taught_images import TaughtImagesObjective, TaughtImagesObjectiveConfig
from limner.training.distributed import average_gradients
from limner.training.loop import LoopConfig, Monitor, train
from limner.types import PADDING_TOKEN, CaptionedBatch, PictureBatch, RankingBatch

RANKS = 2
MINED = 2
CODEBOOKS = ("cosine", "dense", "nearest")


def clip(config: CLIPObjectiveConfig) -> Objective:
    torch.manual_seed(0)
    return CLIPObjective(CLIP(CONFIG), config)


def metric(config: MetricObjectiveConfig) -> Objective:
    torch.manual_seed(0)
    return MetricObjective(CLIP(CONFIG), config)


def taught() -> Objective:
    torch.manual_seed(0)
    return TaughtImagesObjective(CLIP(CONFIG), TaughtImagesObjectiveConfig(teacher_dim=8))


def ranking(kind: str, config: RankingObjectiveConfig) -> Objective:
    return RankingObjective(build(kind), config)


def taught_batch() -> CaptionedBatch:
    generator = torch.Generator().manual_seed(3)
    vectors = torch.nn.functional.normalize(torch.randn(16, 8, generator=generator))
    return replace(small_batch(), teacher=vectors[:10], lessons=vectors[10:])


def ranking_batch(num_mined: int) -> RankingBatch:
    """The texts of the first rank are shorter, so that the parts of the ranks differ in length."""
    queries, documents = side(QUERIES, "text", 0), side(QUERIES * (1 + num_mined), "picture", 0)
    assert queries.tokens is not None
    tokens = queries.tokens.clone()
    tokens[: QUERIES // RANKS, 6:] = PADDING_TOKEN
    queries = replace(queries, tokens=tokens)
    return RankingBatch(queries=queries, documents=documents, num_mined=num_mined, num_items=ITEMS)


def cases() -> dict[str, tuple[Callable[[], Objective], Any]]:
    found: dict[str, tuple[Callable[[], Objective], Any]] = {
        "contrast softmax": (partial(clip, CLIPObjectiveConfig()), small_batch()),
        "contrast sigmoid": (partial(clip, CLIPObjectiveConfig(loss="sigmoid")), small_batch()),
        "contrast in chunks": (partial(clip, CLIPObjectiveConfig(chunk_size=2)), small_batch()),
        "metric": (partial(metric, MetricObjectiveConfig(margin=1.0)), small_batch()),
        "metric with words": (partial(metric, MetricObjectiveConfig(words_weight=0.5)), small_batch()),
        "taught images": (taught, taught_batch()),
    }
    for kind, loss in [*(("clip", loss) for loss in LOSSES), ("late", "info_nce"), ("late", "triplet")]:
        num_mined = 0 if loss in FROM_NOISE else MINED
        config = RankingObjectiveConfig(loss=loss)
        found[f"{kind} {loss}"] = partial(ranking, kind, config), ranking_batch(num_mined)
    return found


def part_of(batch: Any, rank: int) -> Any:
    """Return a rank's part of a batch, cut as the loaders cut."""
    if isinstance(batch, RankingBatch):
        queries, mined = QUERIES // RANKS, QUERIES * batch.num_mined // RANKS
        own = torch.arange(rank * queries, (rank + 1) * queries)
        documents = torch.cat([own, QUERIES + torch.arange(rank * mined, (rank + 1) * mined)])
        return replace(batch, queries=rows_of(batch.queries, own), documents=rows_of(batch.documents, documents))
    return replace(batch, **{name: value.chunk(RANKS)[rank] for name, value in tensors_of(batch).items()})


def rows_of(side: Any, rows: Tensor) -> Any:
    return replace(side, **{name: value[rows] for name, value in tensors_of(side).items()})


def tensors_of(batch: Any) -> dict[str, Tensor]:
    values = {each.name: getattr(batch, each.name) for each in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def gradient_of(objective: Objective, batch: Any) -> dict[str, Tensor]:
    objective.zero_grad()
    output = objective(batch, 0)
    output.loss.backward()
    average_gradients(objective.parameters())
    gradients = {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}
    return gradients | {"loss": output.loss.detach(), "accuracy": output.metrics["accuracy"]}


def stream(start: int) -> Iterator[CaptionedBatch]:
    number = start
    while True:
        batch = small_batch()
        images = torch.rand(batch.images.shape, generator=torch.Generator().manual_seed(number))
        batch = replace(batch, images=images)
        yield part_of(batch, distributed.get_rank()) if distributed.is_initialized() else batch
        number += 1


def trained(folder: Path) -> dict[str, Any]:
    """Train for a few steps; return the weights and what was logged and saved."""
    logged: list[int] = []
    monitor = Monitor(log=lambda step, _: logged.append(step), validate=lambda _: {"mAP": 0.5}, keep=lambda *_: None)
    loop = LoopConfig(num_steps=4, warmup_steps=1, save_every=2, precision="float32")
    weights = train(clip(CLIPObjectiveConfig()), stream, loop, folder=folder, monitor=monitor).state_dict()
    return {"weights": weights, "logged": logged, "saved": folder.exists()}


def codes_trained(folder: Path, codebook: str) -> dict[str, Tensor]:
    """Train a dVAE whose codes die and are revived; return all of its state."""
    objective = build_dvae(codebook, revive_after=1)
    monitor = Monitor(log=lambda *_: None, validate=lambda _: {}, keep=lambda *_: None)
    loop = LoopConfig(num_steps=4, warmup_steps=1, precision="float32", averaging_decay=0.0)

    def pictures(start: int) -> Iterator[Any]:
        while True:
            images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(start))
            yield part_of(PictureBatch(images=images), distributed.get_rank())
            start += 1

    train(objective, pictures, loop, folder=folder, monitor=monitor)
    return objective.state_dict()


def on_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=RANKS)
    found: dict[str, Any] = {name: gradient_of(make(), part_of(batch, rank)) for name, (make, batch) in cases().items()}
    found["trained"] = trained(folder / f"run-{rank}")
    for codebook in CODEBOOKS:
        found[codebook] = codes_trained(folder / f"{codebook}-{rank}", codebook)
    torch.save(found, folder / f"rank-{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found() -> Iterator[list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as name:
        multiprocessing.spawn(on_rank, (Path(name),), nprocs=RANKS)
        yield [torch.load(Path(name, f"rank-{rank}.pt")) for rank in range(RANKS)]


@pytest.mark.parametrize("case", sorted(cases()))
def test_two_ranks_have_the_gradient_of_the_whole_batch(found: list[dict[str, Any]], case: str) -> None:
    make, batch = cases()[case]
    whole = gradient_of(make(), batch)
    assert any(name not in ("loss", "accuracy") and gradient.abs().max() > 1e-6 for name, gradient in whole.items())
    for rank in range(RANKS):
        assert found[rank][case].keys() == whole.keys()
        for name, gradient in whole.items():
            size = max(float(gradient.abs().max()), 0.1)
            torch.testing.assert_close(found[rank][case][name], gradient, atol=2e-5 * size, rtol=1e-4, msg=name)


def test_two_ranks_train_the_weights_of_one_process(found: list[dict[str, Any]], tmp_path: Path) -> None:
    whole = trained(tmp_path / "run")
    for rank in range(RANKS):
        told = found[rank]["trained"]
        assert told["logged"] == (whole["logged"] if rank == 0 else []) and told["saved"] == (rank == 0)
        for name, weights in whole["weights"].items():
            torch.testing.assert_close(told["weights"][name], weights, atol=1e-5, rtol=1e-4, msg=name)
            assert torch.equal(found[0]["trained"]["weights"][name], found[1]["trained"]["weights"][name])


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_two_ranks_agree_on_every_code(found: list[dict[str, Any]], codebook: str) -> None:
    own, other = (found[rank][codebook] for rank in range(RANKS))
    assert own.keys() == other.keys()
    for name in own:
        assert torch.equal(own[name], other[name]) or ".spread.running_" in name, name
