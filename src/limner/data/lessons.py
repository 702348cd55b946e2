"""What a teacher of words says of texts: targets that a text tower learns from, beside the pictures."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import sparse

from limner.data.tokenizer import Tokenizer
from limner.types import END_TOKEN

__all__ = ["Lesson", "Lessons", "Vectors"]

_BLOCK = 1 << 16
_LONGEST = 32

Vectors = Float32[np.ndarray, "texts teacher_dim"]
Shares = Float64[np.ndarray, " texts"]
Rows = Int[np.ndarray, " rows"]


class Lesson(NamedTuple):
    """A text whose embedding should be the teacher's of `meaning`, and how often it is drawn relative to others."""

    text: str
    meaning: str
    weight: float = 1.0


class Lessons:
    """Texts in any language, each with the teacher's vector of what it means in the teacher's language."""

    def __init__(self, lessons: Sequence[Lesson], embed: Callable[[Sequence[str]], Vectors]) -> None:
        together: dict[tuple[str, str], float] = {}
        for text, meaning, weight in lessons:
            together[text, meaning] = together.get((text, meaning), 0.0) + weight
        self.texts = [text for text, _ in together]
        self._rows: dict[str, int] = {}
        self._meanings = np.array([self._rows.setdefault(meaning, len(self._rows)) for _, meaning in together])
        self._vectors = embed(list(self._rows))
        weights = np.array(list(together.values()), dtype=np.float64)
        self._bounds = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        """Return the number of different texts and meanings."""
        return len(self.texts)

    def __contains__(self, meaning: str) -> bool:
        """Return whether the teacher was asked about a text."""
        return meaning in self._rows

    def vectors(self, meanings: Sequence[str]) -> Vectors:
        """Return the teacher's vectors of texts that it was asked about."""
        return self._vectors[[self._rows[meaning] for meaning in meanings]]

    def token_vectors(self, tokenizer: Tokenizer, dim: int) -> Float32[np.ndarray, "vocab dim"]:
        """Return a vector for each token: what the texts that it occurs in mean, along the `dim` widest directions.

        The mean of all texts is taken away, so tokens that occur everywhere are near zero; the others have unit
        variance on average. Tokens that no lesson uses are zero.
        """
        shares = np.diff(self._bounds, prepend=0.0)
        centred = self._vectors - np.bincount(self._meanings, shares, len(self._vectors)) @ self._vectors
        uses = sum(
            self._token_uses(tokenizer, shares, slice(start, start + _BLOCK)) for start in range(0, len(self), _BLOCK)
        )
        counts = np.asarray(uses.sum(axis=1)).ravel()
        means = (uses @ centred) / np.maximum(counts, 1e-12)[:, None]
        directions = np.linalg.eigh(means.T @ means)[1][:, ::-1][:, :dim]
        vectors = means @ directions
        return (vectors / np.sqrt(np.mean(vectors[counts > 0] ** 2))).astype(np.float32)

    def _token_uses(self, tokenizer: Tokenizer, shares: Shares, rows: slice) -> sparse.csr_array:
        """Return how often each token occurs in texts of each meaning, [token, meaning], weighted by their shares."""
        tokens = tokenizer.encode(self.texts[rows], _LONGEST)[0].numpy()
        text, place = np.nonzero(tokens > END_TOKEN)
        uses = (shares[rows][text], (tokens[text, place], self._meanings[rows][text]))
        return sparse.coo_array(uses, shape=(tokenizer.vocab_size, len(self._vectors))).tocsr()

    def draw(self, count: int, seed: Sequence[int]) -> Rows:
        """Return rows of `texts` drawn by weight; the same seed draws the same."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([*seed, 1])))
        return np.minimum(np.searchsorted(self._bounds, generator.random(count)), len(self) - 1)

    def targets(self, rows: Rows) -> Vectors:
        """Return the teacher's vectors of what the texts of these rows mean."""
        return self._vectors[self._meanings[rows]]
