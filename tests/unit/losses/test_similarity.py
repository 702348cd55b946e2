import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.losses.similarity import cosine, dot_product, euclidean, unit_euclidean


def embeddings(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(4, 3, generator=generator, dtype=torch.float64),
        torch.randn(6, 3, generator=generator, dtype=torch.float64),
    )


def test_each_equals_a_double_loop() -> None:
    queries, items = embeddings()
    units = functional.normalize(queries, dim=1), functional.normalize(items, dim=1)
    for i in range(4):
        for j in range(6):
            q, x = queries[i], items[j]
            torch.testing.assert_close(dot_product(queries, items)[i, j], (q * x).sum())
            torch.testing.assert_close(cosine(queries, items)[i, j], functional.cosine_similarity(q, x, dim=0))
            torch.testing.assert_close(euclidean(queries, items)[i, j], (q - x).square().sum().sqrt())
            apart = (units[0][i] - units[1][j]).norm()
            torch.testing.assert_close(unit_euclidean(*units)[i, j], apart)


@pytest.mark.parametrize("similarity", [cosine, dot_product, euclidean])
def test_the_gradient_is_that_of_finite_differences(similarity) -> None:
    queries, items = embeddings(1)
    assert torch.autograd.gradcheck(similarity, (queries.requires_grad_(), items.requires_grad_()))


def test_the_gradient_between_units_is_that_of_finite_differences() -> None:
    queries, items = embeddings(2)
    assert torch.autograd.gradcheck(
        lambda q, x: unit_euclidean(functional.normalize(q, dim=1), functional.normalize(x, dim=1)),
        (queries.requires_grad_(), items.requires_grad_()),
    )


@pytest.mark.parametrize("distance", [euclidean, unit_euclidean])
def test_equal_vectors_are_at_0_and_pull_nowhere(distance) -> None:
    vectors = torch.eye(3, requires_grad=True)
    distances = distance(vectors, vectors.detach())
    assert (distances.diagonal() == 0).all()
    distances.diagonal().sum().backward()
    assert vectors.grad is not None and (vectors.grad == 0).all()


def test_far_from_the_origin_distances_stay_exact() -> None:
    items = torch.randn(60, 512, generator=torch.Generator().manual_seed(0)) + 1000
    exact = torch.cdist(items.double(), items.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert (euclidean(items, items) - exact).abs().max() < 1e-4
    assert (euclidean(items, items).diagonal() == 0).all()


def test_a_vector_of_zeros_has_a_cosine_of_0() -> None:
    queries = torch.zeros(1, 3, requires_grad=True)
    scores = cosine(queries, torch.eye(3))
    scores.sum().backward()
    assert (scores == 0).all() and queries.grad is not None and queries.grad.isfinite().all()
