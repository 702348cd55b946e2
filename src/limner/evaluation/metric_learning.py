"""The figures of metric learning, whose names other libraries give other meanings: each stands here with its rule.

With R the number of items that answer a query, and hits those of them within the first k:

P@k            hits / k, as in trec_eval (P)
P@k (OML)      hits / min(k, R), Open Metric Learning's precision, which reaches 1 with few answers too
mAP@R          the sum of the precisions at the hits within the first R, over R: trec_eval's map_cut at R, which is the
               MAP@R of A Metric Learning Reality Check, https://arxiv.org/abs/2003.08505
mAP@R (OML)    the same sum over the hits that there are within the first R; 0 if there is none

CMC@k is 1 where an answer is within the first k, which is called R@k in `ranking`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from limner.evaluation.ranking import Items

__all__ = ["METRIC_LEARNING", "metric_learning_figures"]


def metric_learning_figures(ranks: Sequence[Items]) -> dict[str, Float[np.ndarray, " queries"]]:
    """Return each figure for each query from the ranks of its answers, ascending from 1, at least one each."""
    return {
        name: np.array([figure(of_query) for of_query in ranks], dtype=np.float64)
        for name, figure in METRIC_LEARNING.items()
    }


def _precision(ranks: Items, k: int) -> float:
    return int((ranks <= k).sum()) / k


def _precision_of_possible(ranks: Items, k: int) -> float:
    return int((ranks <= k).sum()) / min(k, len(ranks))


def _sum_of_precisions(ranks: Items) -> tuple[float, int]:
    """Return the sum of the precisions at the hits within the first R, and how many these are."""
    num_hits = int((ranks <= len(ranks)).sum())
    return float((np.arange(1, num_hits + 1) / ranks[:num_hits]).sum()), num_hits


def _precision_at_r(ranks: Items) -> float:
    return _sum_of_precisions(ranks)[0] / len(ranks)


def _precision_of_hits_at_r(ranks: Items) -> float:
    total, num_hits = _sum_of_precisions(ranks)
    return total / max(num_hits, 1)


METRIC_LEARNING: dict[str, Callable[[Items], float]] = {
    "P@5": lambda ranks: _precision(ranks, 5),
    "P@5 (OML)": lambda ranks: _precision_of_possible(ranks, 5),
    "P@10": lambda ranks: _precision(ranks, 10),
    "P@10 (OML)": lambda ranks: _precision_of_possible(ranks, 10),
    "mAP@R": _precision_at_r,
    "mAP@R (OML)": _precision_of_hits_at_r,
}
"""Every figure by its name."""
