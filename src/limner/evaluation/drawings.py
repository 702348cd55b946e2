"""Picture to picture: does a drawing in one style find the same thing drawn in others?

An extractor ranks the gallery of each family of drawings by its vectors; a re-ranker may then order the best anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from limner.data.progress import Report
from limner.evaluation.examples import Examples
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.evaluation.metric_learning import METRIC_LEARNING, metric_learning_figures
from limner.evaluation.ranking import MEASURES, Items, ScoreBlock, figures_of_scores, ranks_of_relevant
from limner.evaluation.reranking import Gains, compare, rerank
from limner.nn.parts import Parts
from limner.search.embedder import Vectors
from limner.search.reranker import Reranker

__all__ = [
    "DRAWING_MEASURES",
    "DrawingFigures",
    "DrawingTest",
    "RerankingGains",
    "drawing_tests",
    "drawing_values",
    "estimate_drawings",
    "estimate_gains",
    "first_scores",
    "judge_drawings",
    "rerank_drawings",
]

DRAWING_MEASURES = (*MEASURES, *METRIC_LEARNING)
"""The names of the figures: those of every ranking, and those of metric learning."""

Values = dict[str, Float[np.ndarray, " queries"]]


@dataclass(frozen=True, kw_only=True)
class DrawingTest:
    """What one family asks: places of queries and of the gallery among the examples, and the columns that answer."""

    family: str
    asking: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " items"]
    relevant: tuple[Items, ...]
    concepts: Int[np.ndarray, " queries"]
    gallery_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DrawingFigures:
    """The figures of all queries together, and of those of each style that asks."""

    together: dict[str, Estimate]
    families: dict[str, dict[str, Estimate]]


@dataclass(frozen=True, kw_only=True)
class RerankingGains:
    """What re-ranking adds for all queries together, and for those of each style that asks."""

    together: Gains
    families: dict[str, Gains]


def judge_drawings(
    examples: Examples, picture_vectors: Vectors, tests: Mapping[str, tuple[Sequence[int], Sequence[int]]]
) -> DrawingFigures:
    """Return how well drawings are found by drawings; `tests` has rows that ask and rows searched, by asking family."""
    asked = drawing_tests(examples, tests)
    return estimate_drawings(asked, [drawing_values(test, first_scores(test, picture_vectors)) for test in asked])


def drawing_tests(
    examples: Examples, tests: Mapping[str, tuple[Sequence[int], Sequence[int]]]
) -> tuple[DrawingTest, ...]:
    """Return what each family asks; `tests` has rows that ask and rows searched, by asking family.

    Pictures of one concept answer each other. Queries that no decoded picture can answer are left out; queries of one
    concept are one group for the intervals.
    """
    places = {row: place for place, row in enumerate(examples.rows)}
    numbers = np.unique(examples.concepts, return_inverse=True)[1]
    found = []
    for family, (asking_rows, gallery_rows) in tests.items():
        # From the greatest id to the least, so that equal scores in order of the columns are in trec_eval's order.
        searched = sorted((places[row] for row in gallery_rows if row in places), key=examples.ids.__getitem__)
        gallery = np.array(searched[::-1], dtype=np.int64)
        decoded = [places[row] for row in asking_rows if row in places]
        relevant = {place: np.flatnonzero(numbers[gallery] == numbers[place]) for place in decoded}
        asking = np.array([place for place in decoded if len(relevant[place])], dtype=np.int64)
        if not len(asking):
            continue
        found.append(
            DrawingTest(
                family=family,
                asking=asking,
                gallery=gallery,
                relevant=tuple(relevant[place] for place in asking.tolist()),
                concepts=numbers[asking],
                gallery_ids=tuple(examples.ids[place] for place in gallery.tolist()),
            )
        )
    return tuple(found)


def first_scores(test: DrawingTest, picture_vectors: Vectors) -> ScoreBlock:
    """Return the cosine of every query with every drawing of the gallery."""
    return picture_vectors[test.asking] @ picture_vectors[test.gallery].T


def rerank_drawings(
    test: DrawingTest, scores: ScoreBlock, parts: Parts, reranker: Reranker, depth: int, report: Report | None = None
) -> ScoreBlock:
    """Return minus the ranks when a re-ranker has ordered the `depth` best anew; `parts` are those of the examples."""
    asking, gallery = (parts.take(torch.from_numpy(places)) for places in (test.asking, test.gallery))
    return rerank(scores, asking, gallery, reranker, depth, report=report, what=test.family)


def drawing_values(test: DrawingTest, scores: ScoreBlock) -> Values:
    """Return every figure of each query."""
    ranks = ranks_of_relevant(scores, test.relevant, test.gallery_ids)
    return figures_of_scores(scores, test.relevant, test.gallery_ids) | metric_learning_figures(ranks)


def estimate_drawings(tests: Sequence[DrawingTest], values: Sequence[Values]) -> DrawingFigures:
    """Return the means of what the queries of each test reach, and those of all queries, with their intervals."""
    return DrawingFigures(
        together=_means(_all(values), _concepts(tests)),
        families={test.family: _means(of_test, test.concepts) for test, of_test in zip(tests, values, strict=True)},
    )


def estimate_gains(tests: Sequence[DrawingTest], before: Sequence[Values], after: Sequence[Values]) -> RerankingGains:
    """Return how much better the same queries do after re-ranking, with paired intervals."""
    return RerankingGains(
        together=compare(_all(before), _all(after), _concepts(tests)),
        families={
            test.family: compare(one, other, test.concepts)
            for test, one, other in zip(tests, before, after, strict=True)
        },
    )


def _means(values: Values, concepts: Items) -> dict[str, Estimate]:
    return {name: estimate_mean(values[name], concepts) for name in DRAWING_MEASURES}


def _all(values: Sequence[Values]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([of_test[name] for of_test in values]) for name in DRAWING_MEASURES}


def _concepts(tests: Sequence[DrawingTest]) -> Items:
    return np.concatenate([test.concepts for test in tests])
