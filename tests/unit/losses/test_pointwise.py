import math

import pytest
import torch
from torch.nn import functional

from limner.losses.pointwise import graded_cross_entropy, relevance_cross_entropy


def test_relevance_cross_entropy_equals_a_double_loop() -> None:
    scores = torch.tensor([[0.3, -2.0, 1.1], [4.0, 0.0, -0.7]], dtype=torch.float64)
    relevance = torch.tensor([[True, False, False], [False, True, True]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    terms = []
    for i in range(2):
        for j in range(3):
            chance = 1 / (1 + math.exp(-scores[i, j]))
            if mask[i, j]:
                terms.append(-2.5 * math.log(chance) if relevance[i, j] else -math.log(1 - chance))
    value = relevance_cross_entropy(scores, relevance, mask, positive_weight=2.5)
    assert value.item() == pytest.approx(sum(terms) / len(terms))


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_relevance_cross_entropy_is_the_binary_cross_entropy_of_torch(weight: float) -> None:
    scores = torch.randn(4, 5, dtype=torch.float64)
    relevance = torch.rand(4, 5) < 0.4
    expected = functional.binary_cross_entropy_with_logits(
        scores, relevance.double(), pos_weight=torch.tensor(weight, dtype=torch.float64)
    )
    torch.testing.assert_close(relevance_cross_entropy(scores, relevance, positive_weight=weight), expected)


def test_graded_cross_entropy_is_the_cross_entropy_of_torch_over_real_items() -> None:
    logits = torch.randn(4, 5, 3, dtype=torch.float64)
    grades, mask = torch.randint(0, 3, (4, 5)), torch.rand(4, 5) < 0.7
    expected = functional.cross_entropy(logits[mask], grades[mask])
    torch.testing.assert_close(graded_cross_entropy(logits, grades, mask), expected)


def test_graded_cross_entropy_equals_a_double_loop() -> None:
    logits = torch.tensor([[[0.5, 1.0], [2.0, -1.0]]], dtype=torch.float64)
    terms = [
        -math.log(math.exp(logits[0, j, grade]) / sum(math.exp(z) for z in logits[0, j]))
        for j, grade in enumerate([1, 1])
    ]
    assert graded_cross_entropy(logits, torch.tensor([[1, 1]])).item() == pytest.approx(sum(terms) / 2)


def test_the_gradient_over_grades_is_that_of_finite_differences() -> None:
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    grades, mask = torch.randint(0, 4, (2, 3)), torch.tensor([[True, False, True], [True, True, True]])
    assert torch.autograd.gradcheck(lambda z: graded_cross_entropy(z, grades, mask), logits)


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_grades_at_wide_gaps_are_finite(gap: float) -> None:
    logits = torch.tensor([[[0.0, gap], [gap, 0.0]]], requires_grad=True)
    value = graded_cross_entropy(logits, torch.tensor([[0, 0]]))
    value.backward()
    assert value.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_padding_of_grades_may_hold_anything() -> None:
    logits = torch.full((1, 2, 3), float("nan"), requires_grad=True)
    value = graded_cross_entropy(logits, torch.tensor([[7, -1]]), torch.zeros(1, 2, dtype=torch.bool))
    value.backward()
    assert value == 0 and logits.grad is not None and (logits.grad == 0).all()
