"""Picture to picture: does a drawing in one style find the same thing drawn in others?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.evaluation.examples import Examples
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.evaluation.ranking import MEASURES, figures_of_vectors
from limner.search.embedder import Vectors

__all__ = ["DrawingFigures", "judge_drawings"]


@dataclass(frozen=True, kw_only=True)
class DrawingFigures:
    """The figures of all queries together, and of those of each style that asks."""

    together: dict[str, Estimate]
    families: dict[str, dict[str, Estimate]]


def judge_drawings(
    examples: Examples, picture_vectors: Vectors, tests: Mapping[str, tuple[Sequence[int], Sequence[int]]]
) -> DrawingFigures:
    """Return how well drawings are found by drawings; `tests` has rows that ask and rows searched, by asking family.

    Pictures of one concept answer each other. Queries that no decoded picture can answer are left out; queries of one
    concept are one group for the intervals.
    """
    places = {row: place for place, row in enumerate(examples.rows)}
    numbers = np.unique(examples.concepts, return_inverse=True)[1]
    families: dict[str, dict[str, Estimate]] = {}
    everything: dict[str, list[np.ndarray]] = {name: [] for name in MEASURES}
    groups: list[np.ndarray] = []
    for family, (asking_rows, gallery_rows) in tests.items():
        gallery = np.array([places[row] for row in gallery_rows if row in places])
        asking = [places[row] for row in asking_rows if row in places]
        relevant = {place: np.flatnonzero(numbers[gallery] == numbers[place]) for place in asking}
        answerable = [place for place in asking if len(relevant[place])]
        values = figures_of_vectors(
            picture_vectors[answerable],
            picture_vectors[gallery],
            [relevant[place] for place in answerable],
            [examples.ids[place] for place in gallery],
        )
        families[family] = {name: estimate_mean(values[name], numbers[answerable]) for name in MEASURES}
        groups.append(numbers[answerable])
        for name in MEASURES:
            everything[name].append(values[name])
    together = {
        name: estimate_mean(np.concatenate(parts), np.concatenate(groups)) for name, parts in everything.items()
    }
    return DrawingFigures(together=together, families=families)
