import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from limner.errors import DataError, ModelError, UsageError
from limner.search.calibrate import (
    Calibration,
    Curve,
    LabelScale,
    Shortlists,
    calibration_error,
    fit_curve,
    fit_label_scale,
    kept_references,
    nce_curve,
    read_calibration,
    shortlists,
    standard_scores,
    write_calibration,
)

OTHER_METHOD = {"fingerprint": "abc", "text": {"method": "guess"}}
NO_SCALE = {"fingerprint": "abc", "labels": {"scale": -1.0}}


def searches(num_queries: int, seed: int = 0, *, slope: float = 2.0, intercept: float = -3.0) -> Shortlists:
    """Hits whose chance to be right is known: sigma(slope * score + intercept); half of the searches have no answer."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(1.0, 1.5, size=(num_queries, 10))
    right = generator.random(scores.shape) < 1 / (1 + np.exp(-(slope * scores + intercept)))
    search = np.repeat(np.arange(num_queries), 10)
    answerable = right.any(axis=1)[search]
    return Shortlists(scores.ravel(), right.ravel(), search, answerable, search % 2)


def test_platt_finds_the_slope_and_intercept_that_the_hits_were_drawn_with() -> None:
    curve = fit_curve(searches(4000), "platt")
    assert (curve.slope, curve.intercept) == (pytest.approx(2.0, rel=0.05), pytest.approx(-3.0, rel=0.05))
    assert curve.figures["error"] < 0.01


def test_platt_maximises_the_likelihood_of_platts_targets() -> None:
    lists = searches(40, seed=3)
    relevant = lists.relevant
    targets = np.where(relevant, (relevant.sum() + 1) / (relevant.sum() + 2), 1 / ((~relevant).sum() + 2))

    def loss(parameters: np.ndarray) -> float:
        logits = parameters[0] * lists.scores + parameters[1]
        return float(np.sum(np.logaddexp(0, logits) - targets * logits))

    expected = minimize(loss, [1.0, 0.0], tol=1e-10).x
    curve = fit_curve(lists, "platt")
    np.testing.assert_allclose([curve.slope, curve.intercept], expected, rtol=2e-3)


def test_platt_of_hits_that_a_threshold_parts_stays_finite() -> None:
    scores = np.linspace(-1, 1, 80)
    lists = Shortlists(scores, scores > 0, np.arange(80), scores > 0, np.arange(80) % 2)
    told = fit_curve(lists, "platt").relevance(scores)
    assert 0.9 < told[-1] < 1 and 0 < told[0] < 0.1


def test_a_score_that_falls_as_relevance_rises_tells_nothing() -> None:
    lists = searches(300, slope=-2.0)
    for method in ("platt", "isotonic"):
        told = fit_curve(lists, method).relevance(np.linspace(-4, 4, 9))
        assert np.ptp(told) < 0.05 and told.mean() == pytest.approx(lists.relevant.mean(), abs=0.05)


def test_isotonic_is_scikit_learns() -> None:
    lists, new = searches(300), np.linspace(-6, 8, 50)
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(lists.scores, lists.relevant)
    np.testing.assert_allclose(fit_curve(lists, "isotonic").relevance(new), expected.predict(new), atol=1e-12)


def test_many_pairs_choose_isotonic_and_few_platt() -> None:
    assert (fit_curve(searches(200)).method, fit_curve(searches(40)).method) == ("isotonic", "platt")


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_fitted_curve_holds_on_hits_that_it_has_not_seen(method) -> None:
    lists = searches(3000, seed=1)
    curve, fresh = fit_curve(lists, method), searches(3000, seed=2)
    fresh_error = calibration_error(curve.relevance(fresh.scores), fresh.relevant)
    assert fresh_error < 0.02 and curve.figures["error"] == pytest.approx(fresh_error, abs=0.015)
    assert bool((np.diff(curve.relevance(np.linspace(-5, 5, 99))) >= 0).all())


def test_a_self_normalised_score_needs_no_fit() -> None:
    """Three of 50 documents answer: p(d | q) = 1/3 each, so that R e^s is 1 for them and 0 for the others."""
    scores = np.log(np.array([1 / 3, 1 / 3, 1 / 3, 1e-9, 1e-12]))
    right = np.array([True, True, True, False, False])
    lists = Shortlists(scores, right, np.array([0, 0, 0, 1, 1]), right, np.zeros(5, dtype=int))
    curve = nce_curve(3.0, lists)
    np.testing.assert_allclose(curve.relevance(scores), right, atol=1e-6)
    assert curve.figures == {"error": pytest.approx(0, abs=1e-6), "silent": 1.0, "kept": 1.0}
    assert curve.relevance(np.array([5.0])).item() == 1.0


def labelled(scale: float, *, num_pictures: int = 6000, seed: int = 0) -> np.ndarray:
    """Cosines with five labels, the picture's own first, which was drawn by softmax(scale * cosine)."""
    generator = np.random.default_rng(seed)
    cosines = generator.uniform(-0.3, 0.6, size=(num_pictures, 5))
    drawn = (scale * cosines + generator.gumbel(size=cosines.shape)).argmax(axis=1)
    rows = np.arange(num_pictures)
    cosines[rows, drawn], cosines[:, 0] = cosines[:, 0].copy(), cosines[rows, drawn].copy()
    return cosines


@pytest.mark.parametrize("scale", [0.5, 4.0, 20.0])
def test_the_scale_of_labels_is_the_one_that_they_were_drawn_with(scale) -> None:
    found = fit_label_scale(labelled(scale), np.arange(6000), 60.0)
    assert found.scale == pytest.approx(scale, rel=0.2)
    assert found.figures["error"] < 0.03 < found.figures["learned_error"]


def test_figures_of_labels_are_of_concepts_that_the_scale_was_not_fitted_on() -> None:
    """One fold was drawn with another scale than the other, so that each is told by the wrong one."""
    cosines = np.concatenate([labelled(2.0), labelled(30.0, seed=1)])
    mixed = fit_label_scale(cosines, np.repeat([0, 1], 6000), 2.0)
    assert mixed.figures["error"] > 0.2 and 2 < mixed.scale < 30
    alone = fit_label_scale(cosines[:6000], np.zeros(6000, dtype=int), 7.0)
    assert alone.figures["error"] == alone.figures["learned_error"], "nothing is left to fit the other fold's scale on"


def test_labels_that_part_without_a_mistake_keep_a_finite_scale() -> None:
    found = fit_label_scale(np.tile([0.5, 0.1], (40, 1)), np.arange(40), 5.0)
    assert 5 < found.scale <= 1000 and found.figures["error"] < 0.01


def test_the_calibration_error_is_that_of_a_loop_over_bins() -> None:
    generator = np.random.default_rng(0)
    told, right = generator.random(500), generator.random(500) < 0.3
    total = 0.0
    for number in range(15):
        inside = (told >= number / 15) & (told < (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - told[inside].mean())
    assert calibration_error(told, right) == pytest.approx(total)
    assert calibration_error(np.ones(3), np.ones(3, dtype=bool)) == 0


def test_shortlists_are_the_ten_best_with_and_without_the_answers() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(6, 30))
    scores[2, 5] = -np.inf
    relevance = generator.random((6, 30)) < 0.2
    lists = shortlists(scores, relevance, np.array([0, 1, 1, 2, 3, 0]))
    for query in range(6):
        whole, without = lists.search == query, lists.search == query + 6
        assert lists.scores[whole].tolist() == sorted(scores[query].tolist(), reverse=True)[:10]
        others = sorted(scores[query][~relevance[query]].tolist(), reverse=True)[:10]
        assert lists.scores[without].tolist() == others and not lists.relevant[without].any()
        assert lists.answerable[whole].all() and not lists.answerable[without].any()
    assert lists.fold[lists.search == 1].tolist() == lists.fold[lists.search == 2].tolist()
    assert bool(np.isfinite(lists.scores).all())


def test_figures_count_silence_and_what_is_kept() -> None:
    """Answers score 3 and wrong hits 0, but one wrong hit of four scores 3 too, and so must be believed."""
    scores = np.tile([3.0, 0.0, 0.0, 3.0], 20)
    relevant = np.tile([True, False, False, False], 20)
    search = np.arange(80)
    lists = Shortlists(scores, relevant, search, relevant, search // 4 % 2)
    told = fit_curve(lists, "isotonic")
    assert told.figures["kept"] == 1.0
    assert told.figures["silent"] == pytest.approx(2 / 3)


def test_too_few_pairs_and_unknown_ways_are_refused() -> None:
    with pytest.raises(DataError, match="hold out more"):
        fit_curve(searches(3))
    with pytest.raises(UsageError, match="not fitted"):
        fit_curve(searches(40), "nce")


def test_a_calibration_survives_the_file_and_belongs_to_its_weights(tmp_path: Path) -> None:
    calibration = Calibration(
        fingerprint="abc",
        text=fit_curve(searches(200)),
        picture=Curve(method="platt"),
        labels=LabelScale(scale=20.0, figures={"error": 0.04}),
    )
    assert read_calibration(tmp_path, "abc") is None
    write_calibration(tmp_path, calibration)
    assert read_calibration(tmp_path, "abc") == calibration
    assert read_calibration(tmp_path, "abd") is None
    for text in ("{", "[]", json.dumps(OTHER_METHOD), json.dumps(NO_SCALE)):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(ModelError, match="limner calibrate"):
            read_calibration(tmp_path, "abc")


def test_standard_scores_are_those_of_a_loop_and_know_no_scale() -> None:
    generator = np.random.default_rng(3)
    scores, references = generator.normal(size=(5, 7)), generator.normal(size=(5, 9))
    references[2, 4] = -np.inf
    found = standard_scores(scores, references)
    for query in range(5):
        counted = [value for value in references[query] if np.isfinite(value)]
        expected = (scores[query] - np.mean(counted)) / np.std(counted)
        np.testing.assert_allclose(found[query], expected, rtol=1e-9)
    np.testing.assert_allclose(standard_scores(3 * scores + 2, 3 * references + 2), found, rtol=1e-9)
    assert np.isfinite(standard_scores(scores, np.ones((5, 3)))).all()


def test_standard_scores_tell_queries_apart_that_lie_near_everything() -> None:
    """Of two queries, one lies near all pictures: its best wrong score is above the other's right one."""
    scores = np.array([[0.9, 0.8, 0.82, 0.81, 0.79, 0.8], [0.1, 0.12, 0.11, 0.6, 0.09, 0.1]])
    found = standard_scores(scores, scores[:, [1, 2, 4, 5]])
    assert found[0, 3] < found[1, 3]


def test_references_survive_the_file_and_damaged_ones_are_named() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float16).astype(np.float32)
    calibration = Calibration(fingerprint="abc", references=kept_references(vectors))
    np.testing.assert_array_equal(calibration.reference_vectors(8), vectors)
    for damaged in ("%%%", calibration.references[:-4], kept_references(vectors * np.nan)):
        with pytest.raises(ModelError, match="limner calibrate"):
            replace(calibration, references=damaged).reference_vectors(8)
