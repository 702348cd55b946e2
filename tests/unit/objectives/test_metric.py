"""Batch-hard triplets against a loop over the batch, and what a batch without triplets does."""

from dataclasses import replace

import pytest
import torch
from tests.unit.objectives.test_clip import CONFIG, small_batch

from limner.models.clip import CLIP
from limner.objectives.metric import MetricObjective, MetricObjectiveConfig
from limner.types import CaptionedBatch


def objective(**settings: object) -> MetricObjective:
    torch.manual_seed(0)
    return MetricObjective(CLIP(CONFIG), MetricObjectiveConfig(**settings)).eval()


def hardest(vectors: torch.Tensor, concepts: list[int]) -> list[tuple[float, float]]:
    """The farthest positive and the nearest negative of each row that has both, by a loop that knows nothing else."""
    found = []
    for i, own in enumerate(concepts):
        distances = [float((vectors[i] - other).norm()) for other in vectors]
        positives = [d for j, d in enumerate(distances) if concepts[j] == own and j != i]
        negatives = [d for j, d in enumerate(distances) if concepts[j] != own]
        if positives and negatives:
            found.append((max(positives), min(negatives)))
    return found


@pytest.mark.parametrize("loss", ["triplet", "soft_triplet"])
def test_the_loss_is_that_of_the_hardest_triplets(loss: str) -> None:
    learner, batch = objective(loss=loss), small_batch()
    vectors = learner.model.encode_images(batch.images).detach()
    pairs = hardest(vectors, batch.concepts.tolist())
    assert len(pairs) == 6, "four of seven concepts have one picture, and so no triplet"
    terms = {
        "triplet": [max(0.0, 0.15 + far - near) for far, near in pairs],
        "soft_triplet": [float(torch.log1p(torch.tensor(10 * (far - near)).exp())) for far, near in pairs],
    }[loss]
    assert learner(batch, 0).loss.item() == pytest.approx(sum(terms) / len(terms), abs=1e-5)


@pytest.mark.parametrize(
    "concepts",
    [torch.zeros(10, dtype=torch.long), torch.arange(10)],
    ids=["all of one concept", "no two of one concept"],
)
def test_a_batch_without_triplets_has_no_loss_and_a_finite_gradient(concepts: torch.Tensor) -> None:
    learner = objective()
    output = learner(replace(small_batch(), concepts=concepts), 0)
    output.loss.backward()
    assert output.loss.item() == 0
    assert all(p.grad.isfinite().all() for p in learner.model.parameters() if p.grad is not None)


def test_identical_pictures_have_a_finite_gradient() -> None:
    batch = small_batch()
    alike = replace(batch, images=batch.images[:1].expand(10, -1, -1, -1) + 0)
    learner = objective()
    learner(alike, 0).loss.backward()
    assert all(p.grad.isfinite().all() for p in learner.model.parameters() if p.grad is not None)


def test_words_are_learned_only_where_they_are_weighed() -> None:
    def gradient(weight: float) -> float:
        learner = objective(words_weight=weight)
        learner(small_batch(), 0).loss.backward()
        grads = [p.grad for name, p in learner.model.named_parameters() if name.startswith("text")]
        return sum(float(grad.abs().sum()) for grad in grads if grad is not None)

    assert gradient(0.0) == 0 and gradient(0.5) > 0


def test_accuracy_is_the_share_whose_nearest_other_is_of_the_same_concept() -> None:
    learner = objective()
    batch: CaptionedBatch = small_batch()
    vectors = learner.model.encode_images(batch.images).detach()
    right = 0
    for i in range(10):
        others = [j for j in range(10) if j != i]
        nearest = min(others, key=lambda j: float((vectors[i] - vectors[j]).norm()))
        right += int(batch.concepts[nearest] == batch.concepts[i])
    assert learner(batch, 0).metrics["accuracy"].item() == pytest.approx(right / 10)
