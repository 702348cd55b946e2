"""What a teacher of words says of texts: targets that a text tower learns from, beside the pictures."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

__all__ = ["Lesson", "Lessons", "Vectors"]

Vectors = Float32[np.ndarray, "texts teacher_dim"]


class Lesson(NamedTuple):
    """A text whose embedding should be the teacher's of `meaning`, and how often it is drawn relative to others."""

    text: str
    meaning: str
    weight: float = 1.0


class Lessons:
    """Texts in any language, each with the teacher's vector of what it means in the teacher's language."""

    def __init__(self, lessons: Sequence[Lesson], embed: Callable[[Sequence[str]], Vectors]) -> None:
        meanings = list(dict.fromkeys(lesson.meaning for lesson in lessons))
        self._rows = {meaning: row for row, meaning in enumerate(meanings)}
        self._vectors = embed(meanings)
        self._texts = [lesson.text for lesson in lessons]
        self._meanings = np.array([self._rows[lesson.meaning] for lesson in lessons])
        weights = np.array([lesson.weight for lesson in lessons], dtype=np.float64)
        self._bounds = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self._texts)

    def __contains__(self, meaning: str) -> bool:
        """Return whether the teacher was asked about a text."""
        return meaning in self._rows

    def vectors(self, meanings: Sequence[str]) -> Vectors:
        """Return the teacher's vectors of texts that it was asked about."""
        return self._vectors[[self._rows[meaning] for meaning in meanings]]

    def draw(self, count: int, seed: Sequence[int]) -> tuple[list[str], Vectors]:
        """Return texts drawn by weight and the teacher's vectors of what they mean; the same seed draws the same."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([*seed, 1])))
        chosen = np.minimum(np.searchsorted(self._bounds, generator.random(count)), len(self) - 1)
        return [self._texts[row] for row in chosen], self._vectors[self._meanings[chosen]]
