import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.evaluation import ranking
from limner.evaluation.ranking import MEASURES, figures_of_scores, figures_of_vectors


def whole_trec_eval(scores, relevant, ids):
    """trec_eval fed with every item of every list."""
    run = {str(q): {ids[i]: float(s) for i, s in enumerate(row)} for q, row in enumerate(scores)}
    judged = {str(q): {ids[i]: 1 for i in columns} for q, columns in enumerate(relevant)}
    wanted = {"success.1,5,10", "recip_rank", "map", "ndcg_cut.10"}
    result = pytrec_eval.RelevanceEvaluator(judged, wanted).evaluate(run)
    return {name: [result[str(q)][m] for q in range(len(relevant))] for name, m in MEASURES.items()}


def by_definition(scores, relevant, ids):
    """The textbook formulas in loops over a list sorted by (score, id), both descending."""
    figures = {name: [] for name in MEASURES}
    for row, columns in zip(scores, relevant, strict=True):
        ranked = sorted(range(len(ids)), key=lambda i: (np.float32(row[i]), ids[i]), reverse=True)
        hits = [item in set(columns.tolist()) for item in ranked]
        ranks = [place + 1 for place, hit in enumerate(hits) if hit]
        for k in (1, 5, 10):
            figures[f"R@{k}"].append(float(any(hits[:k])))
        figures["MRR"].append(1 / ranks[0])
        figures["mAP"].append(sum((n + 1) / rank for n, rank in enumerate(ranks)) / len(ranks))
        gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10)
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(ranks)) + 1))
        figures["nDCG@10"].append(gain / ideal)
    return figures


def assert_same(found, wanted):
    for name in MEASURES:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)


@st.composite
def tied_rankings(draw):
    num_items = draw(st.integers(1, 60))
    num_queries = draw(st.integers(1, 6))
    num_levels = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = rng.normal(size=num_levels).astype(np.float32)
    scores = levels[rng.integers(num_levels, size=(num_queries, num_items))]
    relevant = [rng.choice(num_items, size=rng.integers(1, num_items + 1), replace=False) for _ in range(num_queries)]
    ids = [str(i) for i in rng.choice(10_000, size=num_items, replace=False)]
    return scores, relevant, ids


@settings(max_examples=150, deadline=None)
@given(tied_rankings(), st.integers(1, 70))
def test_figures_equal_trec_eval_on_tied_runs_at_any_depth(ranking_of, depth):
    scores, relevant, ids = ranking_of
    assert_same(figures_of_scores(scores, relevant, ids, depth=depth), whole_trec_eval(scores, relevant, ids))


@settings(max_examples=50, deadline=None)
@given(tied_rankings())
def test_figures_equal_the_definitions(ranking_of):
    scores, relevant, ids = ranking_of
    assert_same(figures_of_scores(scores, relevant, ids, depth=10), by_definition(scores, relevant, ids))


def test_ties_go_to_the_greater_id():
    scores = np.zeros((1, 3), dtype=np.float32)
    figures = figures_of_scores(scores, [np.array([1])], ["a", "b", "c"])
    assert figures["R@1"][0] == 0
    assert figures["MRR"][0] == 0.5


def test_scores_are_compared_as_float32_and_zero_has_no_sign():
    scores = np.array([[1.00000001, 1.00000002, -0.0, 0.0]])
    figures = figures_of_scores(scores, [np.array([0, 3])], ["b", "a", "d", "c"])
    assert_same(figures, whole_trec_eval(scores, [np.array([0, 3])], ["b", "a", "d", "c"]))
    assert figures["R@1"][0] == 1


def test_blocks_and_whole_agree():
    rng = np.random.default_rng(0)
    queries = rng.integers(-1, 2, size=(37, 4)).astype(np.float32)
    items = rng.integers(-1, 2, size=(90, 4)).astype(np.float32)
    relevant = [rng.choice(90, size=3, replace=False) for _ in range(37)]
    ids = [f"item {i}" for i in range(90)]
    in_blocks = figures_of_vectors(queries, items, relevant, ids, block_size=5, depth=10)
    assert_same(in_blocks, whole_trec_eval(queries @ items.T, relevant, ids))


def test_a_block_of_a_large_gallery_stays_small(monkeypatch):
    widest = 0

    def watched(scores, *rest):
        nonlocal widest
        widest = max(widest, scores.size)
        return {name: np.zeros(len(scores)) for name in MEASURES}

    monkeypatch.setattr(ranking, "_figures_of_block", watched)
    queries, items = np.ones((50_000, 1), np.float32), np.ones((10_000, 1), np.float32)
    figures = figures_of_vectors(queries, items, [np.array([0])] * 50_000, [str(i) for i in range(10_000)])
    assert len(figures["MRR"]) == 50_000
    assert widest * 8 <= 64 << 20


@pytest.mark.parametrize(
    ("scores", "relevant", "reason"),
    [([[np.nan, 0.0]], [[0]], "finite"), ([[1.0, 0.0]], [[]], "relevant item")],
)
def test_what_cannot_be_judged_is_refused(scores, relevant, reason):
    with pytest.raises(ValueError, match=reason):
        figures_of_scores(np.array(scores), [np.array(r, dtype=int) for r in relevant], ["a", "b"])
