"""What re-ranking makes of a ranking: the best of the first stage in a new order, everything else where it was."""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["best_columns", "reranked"]

FirstScores = Float[np.ndarray, "queries items"]
Columns = Int[np.ndarray, "queries depth"]


def best_columns(scores: FirstScores, depth: int) -> Columns:
    """Return the columns of the highest scores of each row, best first; equal scores in order of the columns."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def reranked(
    scores: FirstScores, columns: Columns, second: Float[np.ndarray, "queries depth"]
) -> Float[np.ndarray, "queries items"]:
    """Return minus the rank of every item: `columns` by their second scores first, then the others by their first.

    R@k from the depth on is what it was. Equal second scores keep the order of the first.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    depth = columns.shape[1]
    again = np.argsort(-second, axis=1, kind="stable")
    order[:, :depth] = np.take_along_axis(columns, again, axis=1)
    ranks = np.empty(scores.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1], dtype=np.float32)[None, :], axis=1)
    return -ranks
