"""What re-ranking makes of a ranking: the best of the first stage in a new order, everything else where it was."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from limner.data.progress import Report
from limner.evaluation.intervals import Estimate, estimate_errors_removed, estimate_gain
from limner.nn.parts import Parts
from limner.search.reranker import Reranker

__all__ = ["Gains", "best_columns", "compare", "rerank", "reranked"]

FirstScores = Float[np.ndarray, "queries items"]
Columns = Int[np.ndarray, "queries depth"]
Values = Mapping[str, Float[np.ndarray, " queries"]]


@dataclass(frozen=True, kw_only=True)
class Gains:
    """What re-ranking adds to each figure of the same queries, and the share of the errors at rank 1 removed."""

    figures: dict[str, Estimate]
    errors_removed: Estimate


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


def compare(before: Values, after: Values, groups: Int[np.ndarray, " queries"]) -> Gains:
    """Return how much better the same queries do by every figure, with paired intervals; `R@1` must be among them."""
    return Gains(
        figures={name: estimate_gain(values, after[name], groups) for name, values in before.items()},
        errors_removed=estimate_errors_removed(before["R@1"], after["R@1"], groups),
    )
