"""A query: words and pictures with weights, some for and some against."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from limner.data.decoding import read_picture
from limner.errors import UsageError
from limner.search.embedder import Embedder

__all__ = ["Query", "Term", "balanced", "embed_terms", "mix", "parse_query", "parse_term"]

# A digit after the colon makes it a text such as "16:9".
_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(?!\d)(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Term:
    """Words, or a picture, and how much they count; a negative weight counts against."""

    words: str = ""
    picture: Path | Image.Image | None = None
    weight: float = 1.0

    def __str__(self) -> str:
        shown = f"@{self.picture}" if isinstance(self.picture, Path) else "@picture" if self.picture else self.words
        size = abs(self.weight)
        return shown if size == 1 else f"{size:g}:{shown}"


@dataclass(frozen=True, kw_only=True)
class Query:
    """A weighted mixture: its embedding is the sum of its terms, each divided by the spread of its scores."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        for term in self.terms:
            if term.picture is None and not term.words.strip():
                raise UsageError("a query needs words or a picture, and these words are empty; write what to look for")
            if not math.isfinite(term.weight):
                raise UsageError(
                    f"the weight of '{term.words or term.picture}' is no finite number; give a smaller one"
                )
        if not any(term.weight > 0 for term in self.terms):
            raise UsageError("a query needs words or a picture that count for it; add some next to what counts against")

    def __str__(self) -> str:
        first, *rest = self.terms
        signs = "".join(f" {'-' if term.weight < 0 else '+'} {term}" for term in rest)
        return f"{'- ' if first.weight < 0 else ''}{first}{signs}"


def parse_term(text: str, *, sign: int = 1) -> Term:
    """Read `WORDS`, `@FILE`, and either with a weight before it, as in `2:red fox` or `0.5:@fox.png`.

    `@@` begins words that begin with an at sign; a colon between digits (`16:9`) is part of the words.

    Raises:
        UsageError: for a weight of zero.
    """
    weight = 1.0
    match = _WEIGHT.fullmatch(text.strip())
    if match:
        weight, text = float(match[1]), match[2]
        if weight == 0:
            raise UsageError(f"the weight in '{match[0]}' is zero; leave the words out, or give a weight above zero")
    text = text.strip()
    if text.startswith("@") and not text.startswith("@@"):
        return Term(picture=Path(text[1:]).expanduser(), weight=sign * weight)
    return Term(words=text.removeprefix("@") if text.startswith("@@") else text, weight=sign * weight)


def parse_query(
    words: str | None = None,
    *,
    pictures: Sequence[str | Path] = (),
    plus: Sequence[str] = (),
    minus: Sequence[str] = (),
) -> Query:
    """Put a query together from what a command line or a file of queries says.

    Raises:
        UsageError: if nothing counts for the query, or words are empty.
    """
    terms = [] if words is None else [parse_term(words)]
    terms += [Term(picture=Path(picture).expanduser()) for picture in pictures]
    terms += [parse_term(text) for text in plus] + [parse_term(text, sign=-1) for text in minus]
    if not terms:
        raise UsageError('a query needs words or a picture; write for example "red fox" or --picture fox.png')
    return Query(terms=tuple(terms))


def embed_terms(terms: Sequence[Term], embedder: Embedder) -> np.ndarray:
    """Return one unit vector a term, in order.

    Raises:
        PictureError: naming the file, for a picture that cannot be read.
    """
    vectors = np.zeros((len(terms), embedder.embed_dim), dtype=np.float32)
    texts = [number for number, term in enumerate(terms) if term.picture is None]
    pictures = [number for number, term in enumerate(terms) if term.picture is not None]
    if texts:
        vectors[texts] = embedder.embed_texts([terms[number].words.strip() for number in texts])
    if pictures:
        vectors[pictures] = embedder.embed_pictures(list(_opened(terms[number] for number in pictures)))
    return vectors


def mix(vectors: np.ndarray, weights: Sequence[float], sample: np.ndarray) -> np.ndarray:
    """Return the unit vector of a mixture of terms.

    Scores of words lie much closer together than those of pictures; dividing each term by the standard deviation of
    its scores over a `sample` of the collection lets equal weights count equally: the mixture ranks by the weighted
    sum of the terms' standard scores.

    Raises:
        UsageError: if the terms cancel each other out.
    """
    if len(vectors) == 1:
        return vectors[0] * np.sign(weights[0])
    factors = balanced(weights, (sample.astype(np.float32) @ vectors.T).std(axis=0))
    mixed = factors @ vectors
    length = float(np.linalg.norm(mixed))
    if length < 1e-3:
        raise UsageError("the parts of this query cancel each other out; change a weight or leave one out")
    return (mixed / length).astype(np.float32)


def balanced(weights: Sequence[float], spreads: Float[np.ndarray, " terms"]) -> Float[np.ndarray, " terms"]:
    """Return what to multiply the scores of each term by: its weight over their spread, the largest of size 1."""
    factors = np.asarray(weights, dtype=np.float64)
    factors = factors / np.abs(factors).max()
    if spreads.min() > 1e-4:
        factors = factors / spreads
    return factors / np.abs(factors).max()


def _opened(terms: Iterable[Term]) -> Iterable[Image.Image]:
    for term in terms:
        yield read_picture(term.picture) if isinstance(term.picture, Path) else term.picture  # type: ignore[misc]
