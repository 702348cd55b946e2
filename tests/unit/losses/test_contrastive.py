import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from limner.losses.contrastive import info_nce, sigmoid_pairs, symmetric_info_nce
from limner.losses.selection import same_concept_or_text
from limner.losses.similarity import cosine

LOSSES = [info_nce, symmetric_info_nce, sigmoid_pairs]


def random_case(seed: int, queries: int = 5, items: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(queries, items, generator=generator, dtype=torch.float64) * 3
    return scores, torch.rand(queries, items, generator=generator) < 0.3


def naive_info_nce(scores: Tensor, relevance: Tensor) -> float:
    rows = []
    for i in range(len(scores)):
        positives = [j for j in range(scores.shape[1]) if relevance[i, j]]
        negatives = [j for j in range(scores.shape[1]) if not relevance[i, j]]
        if not positives:
            continue
        terms = []
        for p in positives:
            below = math.exp(scores[i, p]) + sum(math.exp(scores[i, j]) for j in negatives)
            terms.append(-math.log(math.exp(scores[i, p]) / below))
        rows.append(sum(terms) / len(terms))
    return sum(rows) / len(rows) if rows else 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_info_nce_equals_a_double_loop(seed: int) -> None:
    scores, relevance = random_case(seed)
    assert info_nce(scores, relevance).item() == pytest.approx(naive_info_nce(scores, relevance), rel=1e-9, abs=1e-12)


def test_one_positive_a_row_is_the_cross_entropy_of_torch() -> None:
    scores = random_case(1, 6, 6)[0]
    expected = (
        functional.cross_entropy(scores, torch.arange(6)) + functional.cross_entropy(scores.T, torch.arange(6))
    ) / 2
    torch.testing.assert_close(symmetric_info_nce(scores, torch.eye(6, dtype=torch.bool)), expected)


def test_one_positive_a_row_is_the_loss_of_sentence_transformers() -> None:
    # Printed by MultipleNegativesRankingLoss(scale=20.0) of sentence-transformers 6.2.0 for these four pairs.
    queries = torch.sin(torch.arange(12.0)).view(4, 3)
    items = torch.sin(torch.arange(12.0) * 1.7 + 1).view(4, 3)
    value = info_nce(20 * cosine(queries, items), torch.eye(4, dtype=torch.bool))
    assert value.item() == pytest.approx(15.084848, rel=1e-6)


def test_scores_in_half_precision_are_summed_in_single() -> None:
    scores, relevance = random_case(4, 6, 6)
    coarse = scores.to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = symmetric_info_nce(coarse, relevance)
    value.backward()
    fine = coarse.detach().float().requires_grad_()
    expected = symmetric_info_nce(fine, relevance)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(coarse.grad, fine.grad.to(torch.bfloat16))


def test_a_mask_leaves_items_out_of_both_directions() -> None:
    scores, relevance = random_case(5, 6, 6)
    kept = torch.rand(6, 6, generator=torch.Generator().manual_seed(6)) < 0.7
    far = scores.masked_fill(~kept, -1e6)
    expected = symmetric_info_nce(far, relevance & kept)
    torch.testing.assert_close(symmetric_info_nce(scores, relevance, kept), expected)


def test_sigmoid_pairs_is_the_binary_cross_entropy_of_torch() -> None:
    scores, relevance = random_case(2)
    expected = functional.binary_cross_entropy_with_logits(scores, relevance.double(), reduction="sum") / len(scores)
    torch.testing.assert_close(sigmoid_pairs(scores, relevance), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_finite_differences(loss) -> None:
    scores, relevance = random_case(3)
    assert torch.autograd.gradcheck(lambda s: loss(s, relevance), scores.requires_grad_())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_value_and_gradient_stay_finite_at_wide_gaps(loss, gap: float) -> None:
    scores = torch.zeros(3, 4)
    scores[:, 0] = gap
    relevance = torch.zeros(3, 4, dtype=torch.bool)
    relevance[:, 0] = True
    scores.requires_grad_()
    value = loss(scores, relevance)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("relevance", [torch.zeros(3, 3, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool)])
def test_rows_without_a_positive_or_without_a_negative_are_defined(loss, relevance: Tensor) -> None:
    scores = torch.randn(3, 3, requires_grad=True)
    value = loss(scores, relevance)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_better_ranking_has_a_lower_loss(loss) -> None:
    relevance = torch.eye(4, dtype=torch.bool)
    assert loss(4.0 * torch.eye(4), relevance) < loss(torch.eye(4), relevance) < loss(-torch.eye(4), relevance)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_items_does_not_matter(loss) -> None:
    scores, relevance = random_case(4)
    order = torch.randperm(scores.shape[1])
    torch.testing.assert_close(loss(scores, relevance), loss(scores[:, order], relevance[:, order]))


def test_positives_of_a_row_are_never_each_others_negatives() -> None:
    relevance = torch.tensor([[True, True, False]])
    scores = torch.tensor([[1.0, 5.0, 0.0]], requires_grad=True)
    info_nce(scores, relevance).backward()
    assert scores.grad[0, 0] < 0 and scores.grad[0, 1] < 0 < scores.grad[0, 2]


def test_pairs_of_one_concept_or_one_text_are_positives() -> None:
    relevance = same_concept_or_text(torch.tensor([0, 0, 1, 2]), torch.tensor([5, 6, 7, 5]))
    expected = torch.tensor(
        [[True, True, False, True], [True, True, False, False], [False, False, True, False], [True, False, False, True]]
    )
    assert torch.equal(relevance, expected)
