"""The figures of metric learning: by hand, by trec_eval where it has them, and by their own rules elsewhere."""

import numpy as np
import pytest
import pytrec_eval

from limner.evaluation.metric_learning import METRIC_LEARNING, metric_learning_figures
from limner.evaluation.ranking import ranks_of_relevant


def test_the_example_that_tells_the_definitions_apart() -> None:
    """R N R N N with four answers, of which two are never retrieved among the first five."""
    found = metric_learning_figures([np.array([1, 3, 80, 90])])
    assert {name: float(values[0]) for name, values in found.items()} == pytest.approx(
        {
            "P@5": 2 / 5,
            "P@5 (OML)": 2 / 4,
            "P@10": 2 / 10,
            "P@10 (OML)": 2 / 4,
            "mAP@R": (1 + 2 / 3) / 4,
            "mAP@R (OML)": (1 + 2 / 3) / 2,
        }
    )
    nothing = metric_learning_figures([np.array([6, 7])])
    assert nothing["mAP@R"] == nothing["mAP@R (OML)"] == nothing["P@5"] == 0


def test_ranks_precision_and_average_precision_are_those_of_trec_eval() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 6, (30, 25)).astype(np.float32)  # many ties
    num_relevant = 4
    relevant = [np.sort(random.choice(25, num_relevant, replace=False)) for _ in range(30)]
    ids = [f"{number:02d}" for number in random.permutation(25)]
    found = metric_learning_figures(ranks_of_relevant(scores, relevant, ids))
    run = {str(q): dict(zip(ids, scores[q].tolist(), strict=True)) for q in range(30)}
    judged = {str(q): {ids[i]: 1 for i in relevant[q]} for q in range(30)}
    names = {"P@5": "P_5", "P@10": "P_10", "mAP@R": f"map_cut_{num_relevant}"}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"P.5,10", f"map_cut.{num_relevant}"}).evaluate(run)
    for ours, name in names.items():
        np.testing.assert_allclose(found[ours], [theirs[str(q)][name] for q in range(30)], atol=1e-6)


def test_a_perfect_ranking_reaches_one_but_for_precision_with_few_answers() -> None:
    found = metric_learning_figures([np.array([1, 2])])
    assert {name for name, values in found.items() if values[0] == 1} == set(METRIC_LEARNING) - {"P@5", "P@10"}
