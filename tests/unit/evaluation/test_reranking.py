"""What a second stage may change in a ranking, and what not."""

import numpy as np
import pytest

from limner.evaluation.ranking import figures_of_scores
from limner.evaluation.reranking import best_columns, reranked


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)


def test_the_best_columns_are_ordered_by_the_second_scores_and_the_others_stay(scores: np.ndarray) -> None:
    columns = best_columns(scores, 5)
    second = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
    ranks = -reranked(scores, columns, second)
    for row in range(20):
        before = sorted(range(30), key=lambda item: -scores[row, item])
        assert columns[row].tolist() == before[:5]
        value = dict(zip(columns[row].tolist(), second[row].tolist(), strict=True))
        expected = sorted(before[:5], key=lambda item: -value[item]) + before[5:]
        assert np.argsort(ranks[row]).tolist() == expected


def test_a_second_stage_of_the_same_opinion_changes_nothing(scores: np.ndarray) -> None:
    columns = best_columns(scores, 7)
    same = reranked(scores, columns, np.take_along_axis(scores, columns, axis=1))
    tied = reranked(scores, columns, np.zeros((20, 7), dtype=np.float32))
    assert np.array_equal(best_columns(same, 30), best_columns(scores, 30))
    assert np.array_equal(tied, same)


def test_from_the_depth_on_recall_is_what_it_was(scores: np.ndarray) -> None:
    relevant = [np.array([row]) for row in range(20)]
    ids = [f"{item:02d}" for item in range(30)]
    columns = best_columns(scores, 5)
    changed = reranked(scores, columns, np.random.default_rng(2).standard_normal((20, 5)).astype(np.float32))
    before, after = figures_of_scores(scores, relevant, ids), figures_of_scores(changed, relevant, ids)
    assert np.array_equal(before["R@5"], after["R@5"]) and np.array_equal(before["R@10"], after["R@10"])
    assert not np.array_equal(before["R@1"], after["R@1"])


def test_a_depth_beyond_the_gallery_is_the_whole_gallery(scores: np.ndarray) -> None:
    assert best_columns(scores, 100).shape == (20, 30)
    assert best_columns(scores[:, :1], 10).tolist() == [[0]] * 20
