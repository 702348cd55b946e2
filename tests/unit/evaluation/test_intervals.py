import numpy as np
import pytest
from scipy import stats

from limner.evaluation.intervals import estimate_errors_removed, estimate_gain, estimate_mean, wilson_interval


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 10), (400, 1000)])
def test_wilson_equals_scipy(successes, trials):
    wanted = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes / trials, float(trials)) == pytest.approx((wanted.low, wanted.high))


def test_independent_hits_get_wilson():
    values = np.array([1.0] * 30 + [0.0] * 70)
    found = estimate_mean(values)
    wanted = stats.binomtest(30, 100).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-3)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("group_size", [1, 8])
def test_intervals_cover_the_truth_about_as_often_as_they_say(binary, group_size):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        chances = np.repeat(rng.beta(2, 3, size=60), group_size)
        values = (rng.random(chances.size) < chances).astype(float) if binary else chances
        found = estimate_mean(values, np.repeat(np.arange(60), group_size), num_resamples=300)
        covered += found.low <= 0.4 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_copies_of_a_query_do_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    for values in (rng.random(50), (rng.random(50) < 0.5).astype(float)):
        once = estimate_mean(values)
        copied = estimate_mean(np.repeat(values, 20), np.repeat(np.arange(50), 20))
        assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_clean_sweep_is_not_certain(value):
    found = estimate_mean(np.full(20, value))
    assert found.high - found.low > 0.1
    assert found.mean == value


def test_one_group_says_nothing():
    found = estimate_mean(np.array([0.5, 0.7]), np.array([3, 3]))
    assert (found.low, found.high) == (0.0, 1.0)


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="no values"):
        estimate_mean(np.array([]))


def test_gains_and_removed_errors_by_hand() -> None:
    """Of four errors two are mended, and one is new: a gain of 1 / 10, a quarter of the errors removed."""
    before = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], dtype=float)
    after = np.array([1, 1, 1, 1, 1, 0, 1, 1, 0, 0], dtype=float)
    groups = np.arange(10)
    assert estimate_gain(before, after, groups).mean == pytest.approx(0.1)
    removed = estimate_errors_removed(before, after, groups)
    assert removed.mean == pytest.approx(0.25)
    assert removed.low < 0 < 0.25 < removed.high <= 1


def test_pairs_are_compared_query_by_query_and_groups_count_once() -> None:
    """A gain that every query has is certain; one that a single group has is not, however many queries it holds."""
    before = np.linspace(0, 0.5, 40)
    same = estimate_gain(before, before + 0.2, np.arange(40))
    assert same.high - same.low < 1e-9
    after = before.copy()
    after[:20] += 0.4
    groups = np.concatenate([np.zeros(20, dtype=int), np.arange(1, 21)])
    apart = estimate_gain(before, after, np.arange(40))
    together = estimate_gain(before, after, groups)
    assert together.low == 0 and together.high - together.low > 2 * (apart.high - apart.low)


def test_without_errors_nothing_is_removed_and_one_group_tells_nothing() -> None:
    right = np.ones(6)
    nothing = estimate_errors_removed(right, right, np.arange(6))
    assert (nothing.low, nothing.mean, nothing.high) == (0, 0, 0)
    alone = estimate_gain(np.zeros(3), np.array([1.0, 0, 0]), np.zeros(3, dtype=int))
    assert (alone.low, alone.high) == (-1, 1)
