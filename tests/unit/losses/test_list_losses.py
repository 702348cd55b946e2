"""What every loss over lists keeps, however it is computed."""

import pytest
import torch
from tests.unit.losses.ranked_lists import LIST_LOSSES, ListLoss, random_lists
from torch import Tensor

every_loss = pytest.mark.parametrize("loss", LIST_LOSSES.values(), ids=LIST_LOSSES)


def value_and_gradient(loss: ListLoss, scores: Tensor, grades: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    scores = scores.clone().requires_grad_()
    value = loss(scores, grades, mask)
    value.backward()
    assert scores.grad is not None
    return value.detach(), scores.grad


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_finite_differences(loss: ListLoss, seed: int) -> None:
    scores, grades, mask = random_lists(seed)
    assert torch.autograd.gradcheck(lambda s: loss(s, grades, mask), scores.requires_grad_())


@every_loss
@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_value_and_gradient_stay_finite_at_wide_gaps(loss: ListLoss, gap: float) -> None:
    grades = torch.tensor([[3, 0, 1, 0, 2], [0, 0, 0, 3, 1]])
    scores = torch.tensor([[1.0, 0.0, 0.5, -1.0, 0.2], [0.0, -0.5, 0.5, 1.0, -1.0]]) * gap
    value, gradient = value_and_gradient(loss, scores, grades, None)
    assert value.isfinite() and gradient.isfinite().all()


# A smooth rank is flat far from a change of order.
@pytest.mark.parametrize("name", [name for name in LIST_LOSSES if name not in ("approx_ndcg", "smooth_ap")])
def test_a_wide_gap_the_wrong_way_still_has_a_gradient(name: str) -> None:
    loss = LIST_LOSSES[name]
    value, gradient = value_and_gradient(loss, torch.tensor([[-1e4, 0.0]]), torch.tensor([[1, 0]]), None)
    assert value > 1 and gradient[0, 0] < 0


@every_loss
@pytest.mark.parametrize(
    ("grades", "mask"),
    [
        ([[0, 0, 0]], [[True] * 3]),
        ([[2, 2, 2]], [[True] * 3]),
        ([[1]], [[True]]),
        ([[0]], [[True]]),
        ([[1, 0, 2]], [[True, False, False]]),
        ([[1, 0, 2]], [[False] * 3]),
        ([[1, 0, 2], [0, 0, 0]], [[False] * 3, [False] * 3]),
        ([[]], [[]]),
    ],
    ids=["none", "all", "one", "one-bad", "one-real", "padding", "two-paddings", "empty"],
)
def test_lists_that_say_little_are_defined(loss: ListLoss, grades: list, mask: list) -> None:
    kept = torch.tensor(mask, dtype=torch.bool)
    for scores in (torch.randn(kept.shape), torch.zeros(kept.shape)):
        value, gradient = value_and_gradient(loss, scores, torch.tensor(grades, dtype=torch.long), kept)
        assert value.isfinite() and gradient.isfinite().all()
        assert (gradient[~kept] == 0).all()
        if not kept.any():
            assert value == 0


@every_loss
def test_no_list_at_all_is_a_zero_that_is_joined_to_the_graph(loss: ListLoss) -> None:
    value, _ = value_and_gradient(loss, torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long), None)
    assert value == 0


@every_loss
@pytest.mark.parametrize("filling", [0.0, 1e4, float("nan"), float("inf"), float("-inf")])
def test_what_padding_holds_does_not_matter(loss: ListLoss, filling: float) -> None:
    scores, grades, _ = random_lists(5)
    padded = torch.cat([scores, torch.full((3, 2), filling, dtype=scores.dtype)], dim=1)
    padded_grades = torch.cat([grades, torch.full((3, 2), 3)], dim=1)
    mask = torch.arange(8).expand(3, 8) < 6
    value, gradient = value_and_gradient(loss, padded, padded_grades, mask)
    expected, expected_gradient = value_and_gradient(loss, scores, grades, None)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient[:, :6], expected_gradient)
    assert (gradient[:, 6:] == 0).all()


@every_loss
def test_the_order_of_items_does_not_matter(loss: ListLoss) -> None:
    scores, grades, mask = random_lists(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(
        loss(scores, grades, mask), loss(scores[:, order], grades[:, order], mask[:, order]), rtol=1e-9, atol=1e-12
    )


@every_loss
def test_a_better_order_has_a_lower_loss(loss: ListLoss) -> None:
    grades = torch.tensor([[3, 0, 0, 0], [0, 2, 0, 0]])
    good, flat, bad = (loss(grades * scale, grades, None) for scale in (0.5, 0.0, -0.5))
    assert good < flat < bad


@every_loss
def test_a_relevant_item_is_pulled_up_and_an_irrelevant_one_down(loss: ListLoss) -> None:
    _, gradient = value_and_gradient(loss, torch.tensor([[0.1, 0.2, 0.0]]), torch.tensor([[1, 0, 0]]), None)
    assert gradient[0, 0] < 0 < gradient[0, 1]


@every_loss
def test_a_list_twice_counts_as_once(loss: ListLoss) -> None:
    scores, grades, mask = random_lists(7, queries=1)
    twice = loss(scores.repeat(2, 1), grades.repeat(2, 1), mask.repeat(2, 1))
    torch.testing.assert_close(twice, loss(scores, grades, mask))


@every_loss
def test_half_precision_scores_do_not_overflow(loss: ListLoss) -> None:
    scores = torch.tensor([[20.0, -20.0, 15.0]], dtype=torch.bfloat16)
    value, gradient = value_and_gradient(loss, scores, torch.tensor([[0, 1, 0]]), None)
    assert value.isfinite() and gradient.isfinite().all()
