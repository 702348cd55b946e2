import pytest
import torch
from tests.unit.losses.ranked_lists import random_lists
from torch.nn import functional

from limner.losses.distillation import cosine_distance, kl_from_teacher, margin_mse


def teacher_scores() -> torch.Tensor:
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(99), dtype=torch.float64)


def published_pairs() -> torch.Tensor:
    """Return the scores of a positive and a negative that the published values below were computed from."""
    queries, positives, negatives = (
        torch.sin(torch.arange(12.0)).view(4, 3),
        torch.sin(torch.arange(12.0) * 1.7 + 1).view(4, 3),
        torch.cos(torch.arange(12.0) * 0.9).view(4, 3),
    )
    return torch.stack([(queries * positives).sum(dim=1), (queries * negatives).sum(dim=1)], dim=1)


PUBLISHED_TEACHER = torch.tensor([[3.0, 1.0], [2.0, 2.5], [0.5, 0.0], [1.0, -1.0]])


@pytest.mark.parametrize("seed", range(4))
def test_margin_mse_equals_a_triple_loop(seed: int) -> None:
    scores, grades, mask = random_lists(seed)
    teacher, relevance = teacher_scores(), grades > 1
    terms = [
        ((scores[q, i] - scores[q, j]) - (teacher[q, i] - teacher[q, j])) ** 2
        for q in range(3)
        for i in range(6)
        for j in range(6)
        if relevance[q, i] and not relevance[q, j] and mask[q, i] and mask[q, j]
    ]
    torch.testing.assert_close(margin_mse(scores, teacher, relevance, mask), torch.stack(terms).mean())


def test_margin_mse_of_one_pair_a_query_is_the_mse_of_torch_and_of_sentence_transformers() -> None:
    scores, relevance = published_pairs(), torch.tensor([[True, False]]).expand(4, 2)
    value = margin_mse(scores, PUBLISHED_TEACHER, relevance)
    leads = scores[:, 0] - scores[:, 1], PUBLISHED_TEACHER[:, 0] - PUBLISHED_TEACHER[:, 1]
    torch.testing.assert_close(value, functional.mse_loss(*leads))
    # Printed by MarginMSELoss of sentence-transformers 6.2.0.
    assert value.item() == pytest.approx(5.9535465, rel=1e-6)


def test_margin_mse_does_not_ask_for_the_level_of_the_teacher() -> None:
    _, grades, _ = random_lists(1)
    assert margin_mse(teacher_scores() + 7, teacher_scores(), grades > 1).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_kl_from_teacher_is_that_of_torch(temperature: float) -> None:
    scores, _, _ = random_lists(2)
    expected = functional.kl_div(
        (scores / temperature).log_softmax(dim=1),
        (teacher_scores() / temperature).log_softmax(dim=1),
        log_target=True,
        reduction="batchmean",
    )
    value = kl_from_teacher(scores, teacher_scores(), temperature=temperature)
    torch.testing.assert_close(value, expected * temperature**2)


def test_kl_from_teacher_is_that_of_sentence_transformers() -> None:
    # Printed by DistillKLDivLoss(temperature=2.0) of sentence-transformers 6.2.0.
    value = kl_from_teacher(published_pairs(), PUBLISHED_TEACHER, temperature=2.0)
    assert value.item() == pytest.approx(0.68561286, rel=1e-6)


def test_a_student_that_agrees_has_no_loss() -> None:
    assert kl_from_teacher(teacher_scores() + 3, teacher_scores()).item() == pytest.approx(0, abs=1e-12)


def test_no_gradient_reaches_the_teacher() -> None:
    scores, grades, _ = random_lists(3)
    teacher = teacher_scores().requires_grad_()
    total = margin_mse(scores.requires_grad_(), teacher, grades > 1) + kl_from_teacher(scores, teacher)
    total.backward()
    assert teacher.grad is None and scores.grad is not None


def test_cosine_distance_of_units_is_half_their_squared_distance() -> None:
    generator = torch.Generator().manual_seed(4)
    one, other = functional.normalize(torch.randn(2, 5, 3, generator=generator, dtype=torch.float64), dim=2)
    torch.testing.assert_close(cosine_distance(one, other), (one - other).square().sum(dim=1).mean() / 2)
