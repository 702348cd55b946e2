"""How far drawn pictures are from real ones, by the features of a classifier of real ones."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

__all__ = ["frechet_distance", "precision_and_recall"]


def frechet_distance(real: Float[np.ndarray, "reals dim"], drawn: Float[np.ndarray, "draws dim"]) -> float:
    r"""Return the Frechet distance of two normal distributions with the means and covariances of two sets of features.

    .. math:: d^2 = |\mu_1 - \mu_2|^2 + \mathrm{tr}(C_1 + C_2 - 2 (C_1 C_2)^{1/2})

    https://arxiv.org/abs/1706.08500, equation 6; 0 for equal sets. It falls with the number of pictures, so compare
    sets of equal size alone.
    """
    first, second = np.cov(real, rowvar=False, ddof=1), np.cov(drawn, rowvar=False, ddof=1)
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    # The eigenvalues of C1 C2 are those of this symmetric matrix.
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    gap = real.mean(axis=0) - drawn.mean(axis=0)
    return max(float(gap @ gap + np.trace(first) + np.trace(second) - 2 * shared), 0.0)


def precision_and_recall(
    real: Float[np.ndarray, "reals dim"], drawn: Float[np.ndarray, "draws dim"], *, neighbours: int = 3
) -> tuple[float, float]:
    """Return how many drawn pictures lie among the real ones, and how many real ones among the drawn.

    A picture lies among others if it is no further from one of them than that one's k-th nearest neighbour among its
    own kind (https://arxiv.org/abs/1904.06991, equation 1).

    Raises:
        ValueError: if a set has no `neighbours` besides a picture itself.
    """
    if min(len(real), len(drawn)) <= neighbours:
        raise ValueError(f"{min(len(real), len(drawn))} pictures have no {neighbours} neighbours each; give more")
    return _share_among(drawn, real, neighbours), _share_among(real, drawn, neighbours)


def _share_among(
    asked: Float[np.ndarray, "asked dim"], others: Float[np.ndarray, "others dim"], neighbours: int
) -> float:
    radii = np.partition(cdist(others, others), neighbours, axis=1)[:, neighbours]
    return float((cdist(asked, others) <= radii).any(axis=1).mean())
