import math

import pytest
import torch
from tests.unit.losses.ranked_lists import published_gradient, random_lists
from torch import Tensor

from limner.losses.pairwise import margin_contrastive, ranknet
from limner.losses.similarity import cosine, euclidean


def naive_ranknet(scores: Tensor, grades: Tensor, mask: Tensor, sigma: float) -> float:
    terms = []
    for s, y, m in zip(scores.tolist(), grades.tolist(), mask.tolist(), strict=True):
        for i in range(len(s)):
            for j in range(len(s)):
                if m[i] and m[j] and y[i] > y[j]:
                    terms.append(math.log(1 + math.exp(-sigma * (s[i] - s[j]))))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("seed", range(5))
def test_ranknet_equals_a_double_loop(seed: int) -> None:
    scores, grades, mask = random_lists(seed)
    value = ranknet(scores, grades, mask, sigma=1.7)
    assert value.item() == pytest.approx(naive_ranknet(scores, grades, mask, 1.7), rel=1e-9)


def test_ranknet_is_that_of_sentence_transformers() -> None:
    # Printed by RankNetLoss(reduction_log="natural") of sentence-transformers 6.2.0, and by rankNet of allRank 1.4.3.
    value, gradient = published_gradient(ranknet)
    assert value == pytest.approx(0.9138648, rel=1e-6)
    expected = [-0.0762479, 0.0363437, 0.1767892, -0.136885, 0.1839696, -0.1266865, -0.0572831]
    torch.testing.assert_close(gradient, torch.tensor(expected), rtol=0, atol=2e-7)


def test_margin_contrastive_equals_a_double_loop() -> None:
    distances = torch.rand(4, 6, dtype=torch.float64) * 2
    relevance, mask = torch.rand(4, 6) < 0.3, torch.rand(4, 6) < 0.8
    terms = [
        (distances[i, j] ** 2 if relevance[i, j] else max(0.0, 1.1 - distances[i, j]) ** 2) / 2
        for i in range(4)
        for j in range(6)
        if mask[i, j]
    ]
    value = margin_contrastive(distances, relevance, mask, margin=1.1)
    assert value.item() == pytest.approx(float(sum(terms)) / len(terms))


def test_margin_contrastive_is_that_of_sentence_transformers() -> None:
    # Printed by ContrastiveLoss (cosine distance, margin 0.5) of sentence-transformers 6.2.0 for these four pairs.
    queries = torch.sin(torch.arange(12.0)).view(4, 3)
    items = torch.sin(torch.arange(12.0) * 1.7 + 1).view(4, 3)
    relevance = torch.tensor([True, False, True, False])[:, None].expand(4, 4)
    value = margin_contrastive(1 - cosine(queries, items), relevance, torch.eye(4, dtype=torch.bool))
    assert value.item() == pytest.approx(0.21658532, rel=1e-6)


def test_relevant_pairs_are_pulled_and_irrelevant_ones_pushed_to_the_margin_only() -> None:
    distances = torch.tensor([[0.4, 0.4, 0.9]], requires_grad=True)
    margin_contrastive(distances, torch.tensor([[True, False, False]]), margin=0.5).backward()
    assert distances.grad is not None
    assert distances.grad[0, 0] > 0 > distances.grad[0, 1] and distances.grad[0, 2] == 0


def test_the_gradient_is_that_of_finite_differences_through_the_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    items = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    relevance = torch.rand(3, 5, generator=generator) < 0.5
    assert torch.autograd.gradcheck(
        lambda q, x: margin_contrastive(euclidean(q, x), relevance, margin=3.0), (queries, items)
    )


@pytest.mark.parametrize("distance", [0.0, 1e4])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_far_and_equal_pairs_are_finite(distance: float, chance: float) -> None:
    distances = torch.full((3, 3), distance, requires_grad=True)
    value = margin_contrastive(distances, torch.rand(3, 3) < chance)
    value.backward()
    assert value.isfinite() and distances.grad is not None and distances.grad.isfinite().all()


def test_no_pair_is_a_zero_that_is_joined_to_the_graph() -> None:
    distances = torch.full((2, 2), float("nan"), requires_grad=True)
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    value = margin_contrastive(distances, nothing, nothing)
    value.backward()
    assert value == 0 and distances.grad is not None and (distances.grad == 0).all()
