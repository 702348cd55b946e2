"""Text to picture and picture to text: how well a model finds what a set's captions describe.

A picture answers a caption if it shows the concept of the caption's own picture, or carries the same caption; a
caption answers a picture by the same rule. So no right answer is counted wrong because another was written down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from limner.data.progress import Report
from limner.evaluation.examples import Examples, normal_form
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.evaluation.ranking import MEASURES, Items, figures_of_scores, figures_of_vectors
from limner.evaluation.reranking import Gains, compare, rerank
from limner.nn.parts import Parts
from limner.search.embedder import Embedder, Vectors
from limner.search.reranker import Reranker

__all__ = [
    "RerankedTexts",
    "RetrievalFigures",
    "SecondPass",
    "judge_retrieval",
    "relevant_captions",
    "relevant_pictures",
]

_TEXTS_AT_ONCE = 256
Figures = dict[str, Float[np.ndarray, " _"]]


@dataclass(frozen=True, kw_only=True)
class SecondPass:
    """A re-ranker, how many of the best pictures of every caption it orders anew, and what it keeps of all pictures."""

    reranker: Reranker
    depth: int
    parts: Parts


@dataclass(frozen=True, kw_only=True)
class RerankedTexts:
    """The figures of text to picture after re-ranking, and what the same queries gain by it."""

    model: str
    depth: int
    text_to_picture: dict[str, Estimate]
    gains: Gains


@dataclass(frozen=True, kw_only=True)
class RetrievalFigures:
    """The figures of both directions with their intervals, by name as in `ranking.MEASURES`."""

    text_to_picture: dict[str, Estimate]
    picture_to_text: dict[str, Estimate]
    reranked: RerankedTexts | None = None


def judge_retrieval(
    embedder: Embedder,
    examples: Examples,
    picture_vectors: Vectors,
    *,
    second: SecondPass | None = None,
    report: Report | None = None,
) -> RetrievalFigures:
    """Return the figures of every caption searching the pictures, and every picture searching the captions.

    Queries of one concept are one group for the intervals. A picture is a query if any caption answers it.

    Raises:
        UsageError: if the re-ranker reads no words.
    """
    text_vectors = _embed_texts(embedder, examples.captions)
    concepts = np.unique(examples.concepts, return_inverse=True)[1]
    text_concepts = concepts[list(examples.owners)]
    # Equal captions of one concept ask the same: searched for once, counted as often as they are written.
    asked = [f"{concept} {text}" for concept, text in zip(text_concepts, examples.captions, strict=True)]
    _, once, counted = np.unique(asked, return_index=True, return_inverse=True)
    pictures = relevant_pictures(examples)
    answers = [pictures[text] for text in once]
    to_picture = figures_of_vectors(text_vectors[once], picture_vectors, answers, examples.ids)
    again = None
    if second is not None:
        texts = [examples.captions[text] for text in once]
        after = _reranked_figures(second, texts, text_vectors[once], picture_vectors, answers, examples.ids, report)
        again = RerankedTexts(
            model=second.reranker.name,
            depth=second.depth,
            text_to_picture=_estimates(_spread(after, counted), text_concepts),
            gains=compare(_spread(to_picture, counted), _spread(after, counted), text_concepts),
        )
    captions = relevant_captions(examples)
    asking = np.array([place for place, relevant in enumerate(captions) if len(relevant)])
    to_text = figures_of_vectors(
        picture_vectors[asking], text_vectors, [captions[place] for place in asking], examples.caption_ids
    )
    return RetrievalFigures(
        text_to_picture=_estimates(_spread(to_picture, counted), text_concepts),
        picture_to_text=_estimates(to_text, concepts[asking]),
        reranked=again,
    )


def relevant_pictures(examples: Examples) -> list[Items]:
    """Return for each caption the places of the pictures that answer it."""
    of_concept = _places(enumerate(examples.concepts))
    of_caption = _places(zip(examples.owners, map(normal_form, examples.captions), strict=True))
    found: dict[tuple[str, str], Items] = {}
    answers = []
    for owner, text in zip(examples.owners, examples.captions, strict=True):
        key = (examples.concepts[owner], normal_form(text))
        if key not in found:
            found[key] = _array(of_concept[key[0]] + of_caption[key[1]])
        answers.append(found[key])
    return answers


def relevant_captions(examples: Examples) -> list[Items]:
    """Return for each picture the places of the captions that answer it; none if its concept has no caption."""
    of_concept = _places((place, examples.concepts[owner]) for place, owner in enumerate(examples.owners))
    texts = [normal_form(text) for text in examples.captions]
    of_text = _places(enumerate(texts))
    own: dict[int, set[str]] = {}
    for owner, text in zip(examples.owners, texts, strict=True):
        own.setdefault(owner, set()).add(text)
    found: dict[tuple[str, frozenset[str]], Items] = {}
    answers = []
    for place, concept in enumerate(examples.concepts):
        key = (concept, frozenset(own.get(place, ())))
        if key not in found:
            same_text = [caption for text in key[1] for caption in of_text[text]]
            found[key] = _array(of_concept.get(concept, []) + same_text)
        answers.append(found[key])
    return answers


def _embed_texts(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Embed each distinct text once."""
    distinct, places = np.unique(texts, return_inverse=True)
    return embedder.embed_texts(distinct.tolist())[places]


def _reranked_figures(
    second: SecondPass,
    texts: Sequence[str],
    text_vectors: Float[np.ndarray, "texts embed_dim"],
    picture_vectors: Float[np.ndarray, "pictures embed_dim"],
    answers: Sequence[Items],
    ids: Sequence[str],
    report: Report | None,
) -> Figures:
    """Return each figure for each text; memory holds the scores of a block of them at a time."""
    asking = second.reranker.text_parts(texts)
    blocks = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        rows = slice(start, start + _TEXTS_AT_ONCE)
        scores = text_vectors[rows] @ picture_vectors.T
        queries = asking.take(torch.arange(start, start + len(scores)))
        again = rerank(scores, queries, second.parts, second.reranker, second.depth)
        blocks.append(figures_of_scores(again, answers[rows], ids))
        if report:
            report(start + len(scores), len(texts), "re-ranked")
    return {name: np.concatenate([block[name] for block in blocks]) for name in MEASURES}


def _spread(figures: Figures, places: Items) -> Figures:
    """Return the figures of queries that stand at these places."""
    return {name: values[places] for name, values in figures.items()}


def _estimates(figures: Figures, groups: Items) -> dict[str, Estimate]:
    return {name: estimate_mean(figures[name], groups) for name in MEASURES}


def _places(named: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in named:
        places.setdefault(name, []).append(place)
    return places


def _array(places: list[int]) -> Items:
    return np.unique(np.array(places, dtype=np.int64))
