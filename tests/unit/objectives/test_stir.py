"""Which pairs STIR is trained on, in which order, and what does not change while the trunk is frozen."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from limner.losses.pointwise import relevance_cross_entropy
from limner.models.stir import STIRConfig, build_stir
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualStage
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.objectives.stir import STIRObjective, STIRObjectiveConfig, nearest_columns
from limner.training.loop import LoopConfig, Monitor, train
from limner.training.optimizer import OptimizerConfig
from limner.types import RankingBatch, Side

LAYERS = TransformerConfig(dim=32, depth=2, num_heads=2)
VIT = VisionTransformerConfig(image_size=16, patch_size=8, transformer=LAYERS)
CONVOLUTION = InvertedResidualConfig(
    image_size=16, stem_dim=8, stages=(InvertedResidualStage(dim=16, num_blocks=2, expansion=2),), head_dim=32
)


def batch(concepts: Tensor, *, num_mined: int = 1, seed: int = 0) -> RankingBatch:
    """One document of the query's concept each, then those mined, which are of concepts of their own."""
    generator = torch.Generator().manual_seed(seed)
    count = len(concepts)
    mined = torch.arange(count * num_mined) + 100
    return RankingBatch(
        queries=Side(
            concepts=concepts, texts=torch.arange(count), images=torch.rand(count, 3, 16, 16, generator=generator)
        ),
        documents=Side(
            concepts=torch.cat([concepts, mined]),
            texts=torch.arange(count * (1 + num_mined)),
            images=torch.rand(count * (1 + num_mined), 3, 16, 16, generator=generator),
        ),
        num_mined=num_mined,
        num_items=500,
    )


def objective(form: str = "cached", vision: object = VIT, **settings: object) -> STIRObjective:
    torch.manual_seed(0)
    config = STIRConfig(form=form, vision=vision, layers=LAYERS, num_separate=1, embed_dim=32, dropout_rate=0)
    return STIRObjective(build_stir(config), STIRObjectiveConfig(**settings)).eval()


def test_nearest_columns_are_the_best_that_are_not_taken() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]])
    taken = torch.tensor([[1], [0]])
    assert nearest_columns(scores, taken).tolist() == [[3, 2, 0], [1, 2, 3]]


def test_the_loss_is_that_of_own_mined_and_nearest_documents_in_the_order_drawn() -> None:
    """Against a loop that draws the same coins and reads every pair by itself."""
    learner = objective(num_in_batch=2)
    some = batch(torch.tensor([0, 1, 1, 2]))
    model = learner.model
    queries, documents = model.picture_parts(some.queries.images), model.picture_parts(some.documents.images)
    likeness = (model.embeddings(queries) @ model.embeddings(documents).T).detach()
    scores, relevance = [], []
    torch.manual_seed(5)
    swapped = (torch.rand(16, 1, 1) < 0.5).flatten().tolist()
    for i in range(4):
        relevant = [bool(some.documents.concepts[j] == some.queries.concepts[i]) for j in range(8)]
        others = [j for j in range(8) if j not in (i, 4 + i)]
        others.sort(key=lambda j: -float(likeness[i, j]) + (10 if relevant[j] else 0))
        for j in (i, 4 + i, *others[:2]):
            pair = queries.take(torch.tensor([i])), documents.take(torch.tensor([j]))
            first, second = pair[::-1] if swapped[len(scores)] else pair
            scores.append(model.ordered_scores(first, second))
            relevance.append(relevant[j])
    expected = relevance_cross_entropy(torch.cat(scores).view(4, 4), torch.tensor(relevance).view(4, 4))
    torch.manual_seed(5)
    torch.testing.assert_close(learner(some, 0).loss, expected)
    assert len(set(swapped)) == 2


@pytest.mark.parametrize("form", ["pair", "interaction", "cached", "local"])
@pytest.mark.parametrize("vision", [VIT, CONVOLUTION], ids=["vit", "convolution"])
def test_a_batch_of_one_concept_and_of_one_query_has_a_finite_loss(form: str, vision: object) -> None:
    learner = objective(form, vision)
    for some in (
        batch(torch.zeros(4, dtype=torch.long), num_mined=0),
        batch(torch.tensor([3]), num_mined=0),
        batch(torch.tensor([3]), num_mined=2),
    ):
        output = learner(some, 0)
        output.loss.backward()
        assert output.loss.isfinite()
        assert all(p.grad.isfinite().all() for p in learner.model.parameters() if p.grad is not None)


def test_identical_pictures_of_two_concepts_have_a_finite_gradient() -> None:
    learner = objective()
    some = batch(torch.tensor([0, 1, 2]))
    same = torch.full((3, 3, 16, 16), 0.5)
    alike = replace(
        some,
        queries=replace(some.queries, images=same),
        documents=replace(some.documents, images=torch.cat([same, same])),
    )
    learner(alike, 0).loss.backward()
    assert all(p.grad.isfinite().all() for p in learner.model.parameters() if p.grad is not None)


def test_a_loss_that_needs_documents_nobody_chose_is_refused() -> None:
    with pytest.raises(ValueError, match="take classification"):
        STIRObjectiveConfig(loss="nce")


@pytest.mark.parametrize("form", ["pair", "interaction", "cached", "local"])
@pytest.mark.parametrize("vision", [VIT, CONVOLUTION], ids=["vit", "convolution"])
def test_while_the_trunk_is_frozen_neither_its_weights_nor_its_running_statistics_change(
    form: str, vision: object, tmp_path
) -> None:
    """In the loop itself; a frozen phase that is not, trains the whole trunk at the rate of the head."""
    learner = objective(form, vision).train()
    states: list[dict[str, Tensor]] = []

    def record(step: int, metrics: dict[str, float]) -> None:
        if "loss" in metrics:
            states.append({name: value.clone() for name, value in learner.model.state_dict().items()})

    config = LoopConfig(
        num_steps=4,
        warmup_steps=0,
        averaging_decay=0,
        precision="float32",
        validate_every=4,
        save_every=4,
        optimizer=OptimizerConfig(learning_rate=1e-2, rates={"vision": 0.1}, spans={"vision": (2, 4)}),
    )
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    train(
        learner,
        lambda start: (batch(torch.tensor([0, 1, 2, 3]), seed=number) for number in range(start, 100)),
        config,
        folder=tmp_path,
        monitor=Monitor(log=record, validate=lambda model: {}, keep=lambda model, step: None),
    )
    for frozen in states[:2]:
        changed = {name for name in before if not torch.equal(before[name], frozen[name])}
        assert changed and not any(name.startswith("vision") for name in changed)
    changed = {name for name in before if not torch.equal(states[1][name], states[-1][name])}
    assert any(name.startswith("vision") for name in changed)
    if vision is CONVOLUTION:
        assert any("running_mean" in name for name in changed)
