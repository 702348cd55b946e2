"""What re-ranking makes of a ranking: the best of the first stage in a new order, everything else where it was."""

import numpy as np
import torch
from jaxtyping import Float, Int

from limner.data.progress import Report
from limner.nn.parts import Parts
from limner.search.reranker import Reranker

__all__ = ["best_columns", "rerank", "reranked"]

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


def rerank(
    scores: FirstScores,
    queries: Parts,
    items: Parts,
    reranker: Reranker,
    depth: int,
    *,
    report: Report | None = None,
    what: str = "",
) -> Float[np.ndarray, "queries items"]:
    """Return minus the rank of every item when a re-ranker has ordered the `depth` best of every query anew.

    The parts are those of the rows and of the columns; `what` names the work in the report.
    """
    columns = best_columns(scores, depth)
    second = np.empty(columns.shape, dtype=np.float32)
    for query, chosen in enumerate(columns):
        second[query] = reranker.scores(queries.take(torch.tensor([query])), items.take(torch.from_numpy(chosen)))[0]
        if report:
            report(query + 1, len(columns), what)
    return reranked(scores, columns, second)
