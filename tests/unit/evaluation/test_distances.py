import numpy as np
import pytest
from scipy import linalg

from limner.evaluation.distances import frechet_distance, precision_and_recall


def features(seed: int, rows: int = 60, dim: int = 5) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, dim)) @ generator.normal(size=(dim, dim)) + generator.normal(size=dim)


@pytest.mark.parametrize("seed", range(3))
def test_frechet_equals_the_formula_with_a_matrix_root(seed: int) -> None:
    real, drawn = features(seed), features(seed + 10, rows=45)
    first, second = np.cov(real.T), np.cov(drawn.T)
    root = linalg.sqrtm(first @ second).real
    gap = real.mean(0) - drawn.mean(0)
    expected = gap @ gap + np.trace(first + second - 2 * root)
    assert frechet_distance(real, drawn) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_one_dimension_is_that_of_means_and_deviations() -> None:
    real, drawn = features(0, dim=1), features(1, dim=1) * 3
    deviations = real.std(ddof=1) - drawn.std(ddof=1)
    expected = (real.mean() - drawn.mean()) ** 2 + deviations**2
    assert frechet_distance(real, drawn) == pytest.approx(expected, rel=1e-9)


def test_equal_sets_are_at_no_distance_even_where_few_pictures_leave_directions_empty() -> None:
    real = features(2, rows=4, dim=9)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall_equal_a_loop(neighbours: int) -> None:
    real, drawn = features(3, rows=30, dim=2), features(4, rows=20, dim=2)

    def share(asked: np.ndarray, others: np.ndarray) -> float:
        inside = 0
        for one in asked:
            for other in others:
                radius = sorted(np.linalg.norm(other - third) for third in others)[neighbours]
                if np.linalg.norm(one - other) <= radius:
                    inside += 1
                    break
        return inside / len(asked)

    found = precision_and_recall(real, drawn, neighbours=neighbours)
    assert found == pytest.approx((share(drawn, real), share(real, drawn)))
    assert 0 < found[0] < 1


def test_one_picture_again_and_again_is_precise_and_recalls_little() -> None:
    real = features(5, rows=200)
    drawn = np.repeat(real[:1], 50, axis=0)
    precision, recall = precision_and_recall(real, drawn)
    assert precision == 1 and recall <= 0.01


def test_too_few_pictures_are_an_error() -> None:
    with pytest.raises(ValueError, match="give more"):
        precision_and_recall(features(0), features(1, rows=3))
