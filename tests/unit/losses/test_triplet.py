import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner, DistanceWeightedMiner, TripletMarginMiner
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer
from torch import Tensor
from torch.nn import functional

from limner.losses.selection import same_label, without_self
from limner.losses.similarity import euclidean
from limner.losses.triplet import soft_triplet, triplet_margin
from limner.losses.triplet_selection import Triplets, all_triplets, batch_hard, distance_weighted, semi_hard

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3, 1, 2])
PLAIN = LpDistance(normalize_embeddings=False)


def case(seed: int = 0, *, units: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(LABELS), 4, generator=generator, dtype=torch.float64)
    if units:
        embeddings = functional.normalize(embeddings, dim=1)
    relevance = same_label(LABELS, LABELS)
    return embeddings, euclidean(embeddings, embeddings), without_self(relevance), ~relevance


def listed(triplets: Triplets) -> set[tuple[int, int, int]]:
    found = set()
    for i, p, k in triplets.chosen.nonzero().tolist():
        negative = k if triplets.negatives is None else int(triplets.negatives[i, p, k])
        found.add((i, int(triplets.positives[i, p]), negative))
    return found


def naive_triplets(positives: Tensor, negatives: Tensor) -> set[tuple[int, int, int]]:
    size = range(len(positives))
    return {(a, p, n) for a in size for p in size for n in size if positives[a, p] and negatives[a, n]}


def test_all_triplets_are_those_of_a_triple_loop() -> None:
    _, _, positives, negatives = case()
    assert listed(all_triplets(positives, negatives)) == naive_triplets(positives, negatives)


@pytest.mark.parametrize("seed", range(3))
def test_the_margin_loss_equals_a_loop_and_that_of_pytorch_metric_learning(seed: int) -> None:
    embeddings, distances, positives, negatives = case(seed)
    triplets = all_triplets(positives, negatives)
    terms = [
        max(0.0, 0.7 + (distances[a, p] - distances[a, n]).item()) for a, p, n in naive_triplets(positives, negatives)
    ]
    violated = [term for term in terms if term > 0]
    value = triplet_margin(distances, triplets, margin=0.7)
    only = triplet_margin(distances, triplets, margin=0.7, only_violated=True)
    assert value.item() == pytest.approx(sum(terms) / len(terms))
    assert only.item() == pytest.approx(sum(violated) / len(violated))
    theirs = [TripletMarginLoss(0.7, distance=PLAIN, reducer=r()) for r in (MeanReducer, AvgNonZeroReducer)]
    torch.testing.assert_close(value, theirs[0](embeddings, LABELS))
    torch.testing.assert_close(only, theirs[1](embeddings, LABELS))


@pytest.mark.parametrize("seed", range(3))
def test_the_soft_loss_equals_a_loop_and_that_of_pytorch_metric_learning(seed: int) -> None:
    embeddings, distances, positives, negatives = case(seed)
    terms = [
        math.log1p(math.exp(distances[a, p] - distances[a, n])) for a, p, n in naive_triplets(positives, negatives)
    ]
    value = soft_triplet(distances, all_triplets(positives, negatives))
    assert value.item() == pytest.approx(sum(terms) / len(terms))
    theirs = TripletMarginLoss(0.0, smooth_loss=True, distance=PLAIN, reducer=MeanReducer())
    torch.testing.assert_close(value, theirs(embeddings, LABELS))


def test_one_triplet_is_the_triplet_margin_loss_of_torch() -> None:
    anchor, positive, negative = torch.randn(3, 1, 4, dtype=torch.float64)
    distances = euclidean(anchor, torch.cat([positive, negative]))
    triplets = all_triplets(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    expected = functional.triplet_margin_loss(anchor, positive, negative, margin=0.4, eps=0)
    torch.testing.assert_close(triplet_margin(distances, triplets, margin=0.4), expected)


@pytest.mark.parametrize("seed", range(3))
def test_batch_hard_is_that_of_pytorch_metric_learning(seed: int) -> None:
    embeddings, distances, positives, negatives = case(seed)
    anchors, p, n = BatchHardMiner(distance=PLAIN)(embeddings, LABELS)
    expected = set(zip(anchors.tolist(), p.tolist(), n.tolist(), strict=True))
    # There the picture that is alone under its label is its own positive.
    assert listed(batch_hard(distances, positives, negatives)) == {each for each in expected if each[0] != each[1]}


@pytest.mark.parametrize("seed", range(3))
def test_semi_hard_is_that_of_pytorch_metric_learning(seed: int) -> None:
    embeddings, distances, positives, negatives = case(seed)
    miner = TripletMarginMiner(margin=0.9, type_of_triplets="semihard", distance=PLAIN)
    expected = set(zip(*(each.tolist() for each in miner(embeddings, LABELS)), strict=True))
    assert listed(semi_hard(distances, positives, negatives, margin=0.9)) == expected


def test_of_equal_distances_the_first_is_the_hardest() -> None:
    distances = torch.ones(1, 5)
    positives = torch.tensor([[False, True, False, True, False]])
    negatives = torch.tensor([[False, False, True, False, True]])
    assert listed(batch_hard(distances, positives, negatives)) == {(0, 1, 2)}


def test_distance_weighted_draws_follow_the_inverse_density() -> None:
    distances = torch.tensor([[0.9, 0.2, 0.7, 1.1, 1.3, 1.9]], dtype=torch.float64)
    positives = torch.tensor([[True, False, False, False, False, False]])
    weights = []
    for distance in (0.2, 0.7, 1.1, 1.3):
        clipped = max(distance, 0.5)
        weights.append(1 / (clipped**14 * (1 - clipped**2 / 4) ** 6.5))
    many = distances.expand(4000, 6), positives.expand(4000, 6), ~positives.expand(4000, 6)
    triplets = distance_weighted(*many, torch.Generator().manual_seed(0), embed_dim=16)
    assert triplets.negatives is not None and triplets.chosen.all() and (triplets.positives == 0).all()
    counts = torch.bincount(triplets.negatives.flatten(), minlength=6)
    expected = torch.tensor([0.0, *[w / sum(weights) for w in weights], 0.0])
    torch.testing.assert_close(counts / 4000, expected, rtol=0, atol=0.02)


def test_distance_weighted_reaches_the_negatives_that_pytorch_metric_learning_reaches() -> None:
    embeddings, distances, positives, negatives = case(1, units=True)
    ours, theirs = set(), set()
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    miner = DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4)
    for _ in range(200):
        ours |= listed(distance_weighted(distances, positives, negatives, generator, embed_dim=4))
        theirs |= set(zip(*(each.tolist() for each in miner(embeddings, LABELS)), strict=True))
    assert ours == {(a, p, n) for a, p, n in theirs if distances[a, n] < 1.4}


@pytest.mark.parametrize("select", ["all", "semi", "hard", "weighted"])
@pytest.mark.parametrize(
    ("positives", "negatives"),
    [
        (torch.zeros(3, 3), torch.ones(3, 3)),
        (torch.ones(3, 3), torch.zeros(3, 3)),
        (torch.zeros(3, 0), torch.zeros(3, 0)),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
    ],
    ids=["no-positive", "no-negative", "no-item", "no-query"],
)
def test_without_triplets_the_loss_is_a_zero_joined_to_the_graph(
    select: str, positives: Tensor, negatives: Tensor
) -> None:
    distances = torch.rand(positives.shape, requires_grad=True)
    pairs = positives.bool(), negatives.bool()
    triplets = {
        "all": lambda: all_triplets(*pairs),
        "semi": lambda: semi_hard(distances, *pairs, margin=0.2),
        "hard": lambda: batch_hard(distances, *pairs),
        "weighted": lambda: distance_weighted(distances, *pairs, torch.Generator(), embed_dim=8),
    }[select]()
    value = triplet_margin(distances, triplets, margin=0.2) + soft_triplet(distances, triplets)
    value.backward()
    assert value == 0 and distances.grad is not None and (distances.grad == 0).all()


@pytest.mark.parametrize("distance", [0.0, 1e4])
def test_wide_gaps_and_equal_pictures_are_finite(distance: float) -> None:
    distances = torch.tensor([[distance, 0.0], [0.0, distance]], requires_grad=True)
    triplets = all_triplets(torch.tensor([[True, False]] * 2), torch.tensor([[False, True]] * 2))
    value = triplet_margin(distances, triplets, margin=0.2) + soft_triplet(distances, triplets)
    value.backward()
    assert value.isfinite() and distances.grad is not None and distances.grad.isfinite().all()


def test_the_gradient_is_that_of_finite_differences() -> None:
    _, distances, positives, negatives = case(2)
    chosen = [all_triplets(positives, negatives), batch_hard(distances, positives, negatives)]
    for triplets in chosen:
        assert torch.autograd.gradcheck(
            lambda d, t=triplets: triplet_margin(d, t, margin=0.31) + soft_triplet(d, t),
            distances.detach().clone().requires_grad_(),
        )
