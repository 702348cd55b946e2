"""Figures of a ranking, one value a query, with trec_eval's own code and its rule for ties.

Equal scores (compared as float32) are ordered by item id, the greater string first. A ranking over a large
gallery is never held whole: a block of queries at a time is scored and sorted, the top of each list goes to
trec_eval, and what relevant items below the top add to average precision and reciprocal rank is added exactly.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytrec_eval
from jaxtyping import Float, Int, Int64

__all__ = ["MEASURES", "Items", "ScoreBlock", "figures_of_scores", "figures_of_vectors", "ranks_of_relevant"]

ScoreBlock = Float[np.ndarray, "queries items"]
Items = Int[np.ndarray, "_"]

MEASURES = {
    "R@1": "success_1",
    "R@5": "success_5",
    "R@10": "success_10",
    "MRR": "recip_rank",
    "mAP": "map",
    "nDCG@10": "ndcg_cut_10",
}

_REQUESTED = {"success.1,5,10", "recip_rank", "map", "ndcg_cut.10"}
_SHORTEST_DEPTH = 10
_BLOCK_BYTES = 64 << 20


def figures_of_vectors(
    queries: Float[np.ndarray, "queries embed_dim"],
    items: Float[np.ndarray, "items embed_dim"],
    relevant: Sequence[Items],
    item_ids: Sequence[str],
    *,
    depth: int = 100,
    block_size: int | None = None,
) -> dict[str, Float[np.ndarray, " queries"]]:
    """Return each figure for each query by dot product; memory holds one block of scores at a time."""
    size = block_size or max(1, _BLOCK_BYTES // (8 * max(1, len(items))))
    by_id = _by_id(item_ids)
    blocks = [
        _figures_of_block(queries[rows] @ items.T, relevant[rows], item_ids, by_id, depth)
        for rows in _slices(len(queries), size)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in MEASURES}


def figures_of_scores(
    scores: ScoreBlock, relevant: Sequence[Items], item_ids: Sequence[str], *, depth: int = 100
) -> dict[str, Float[np.ndarray, " queries"]]:
    """Return each figure for each query from queries x items scores.

    `relevant[q]` holds the distinct columns that answer query `q`, at least one; `R@k` is 1 where one of them is
    among the first `k`. Scores are compared as float32 and must be finite; ids must be distinct.
    """
    return _figures_of_block(scores, relevant, item_ids, _by_id(item_ids), depth)


def ranks_of_relevant(scores: ScoreBlock, relevant: Sequence[Items], item_ids: Sequence[str]) -> list[Items]:
    """Return for each query the ranks of its relevant columns, ascending from 1, by the same rule for ties."""
    keys = _sort_keys(scores.astype(np.float32), _by_id(item_ids))
    order = np.sort(keys, axis=1)
    return [_ranks(order[query], keys[query, columns]) for query, columns in enumerate(relevant)]


def _figures_of_block(
    scores: ScoreBlock, relevant: Sequence[Items], item_ids: Sequence[str], by_id: Items, depth: int
) -> dict[str, Float[np.ndarray, " queries"]]:
    """`by_id` holds the columns from the greatest id to the least."""
    if any(not len(columns) for columns in relevant):
        raise ValueError("every query needs a relevant item")
    depth = min(max(depth, _SHORTEST_DEPTH), len(item_ids))
    scores = scores.astype(np.float32)
    keys = _sort_keys(scores, by_id)
    order = np.sort(keys, axis=1)
    run: dict[str, dict[str, float]] = {}
    judged: dict[str, dict[str, int]] = {}
    for query, columns in enumerate(relevant):
        top = by_id[len(item_ids) - 1 - (order[query, : -depth - 1 : -1] & 0xFFFFFFFF)]
        run[str(query)] = dict(zip([item_ids[i] for i in top], scores[query, top].tolist(), strict=True))
        judged[str(query)] = dict.fromkeys([item_ids[i] for i in columns], 1)
    result = pytrec_eval.RelevanceEvaluator(judged, _REQUESTED).evaluate(run)
    figures = {
        name: np.array([result[str(query)][measure] for query in range(len(relevant))], dtype=np.float64)
        for name, measure in MEASURES.items()
    }
    for query, columns in enumerate(relevant):
        ranks = _ranks(order[query], keys[query, columns])
        if ranks[-1] > depth:
            _add_tail(figures, query, ranks, depth)
    return figures


def _ranks(order: Int64[np.ndarray, " items"], keys: Int64[np.ndarray, " columns"]) -> Items:
    """Return the ranks of keys, ascending from 1, in an order that ascends."""
    return np.sort(len(order) - np.searchsorted(order, keys))


def _by_id(item_ids: Sequence[str]) -> Items:
    return np.array(sorted(range(len(item_ids)), key=item_ids.__getitem__, reverse=True))


def _sort_keys(scores: Float[np.ndarray, "queries items"], by_id: Items) -> Int64[np.ndarray, "queries items"]:
    """Return integers in the order of (score, id): the score's bits above the place of the id."""
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    bits = (scores + np.float32(0)).view(np.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    places = np.empty(len(by_id), dtype=np.int64)
    places[by_id] = np.arange(len(by_id) - 1, -1, -1)
    return (bits.astype(np.int64) << 32) | places


def _add_tail(figures: dict[str, Float[np.ndarray, " queries"]], query: int, ranks: Items, depth: int) -> None:
    """Add what relevant items below `depth` contribute; `ranks` are of all relevant items, ascending from 1."""
    precision = np.arange(1, len(ranks) + 1) / ranks
    figures["mAP"][query] += precision[ranks > depth].sum() / len(ranks)
    if ranks[0] > depth:
        figures["MRR"][query] = 1 / ranks[0]


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))
