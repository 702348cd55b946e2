"""Held-out pictures and captions that judge a model while it learns: text -> picture R@k, MRR and mAP."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from PIL import Image

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.progress import Say
from limner.data.ranking import SideKind
from limner.data.splitting import hash_share, hold_out
from limner.errors import PictureError
from limner.evaluation.ranking import figures_of_scores, figures_of_vectors
from limner.evaluation.reranking import rerank
from limner.models.clip import CLIP
from limner.models.relevance import RelevanceModel
from limner.models.stir import EmbeddingSTIR
from limner.nn.parts import Parts
from limner.search.embedder import Embedder, Vectors
from limner.search.reranker import Reranker, ScoreMatrix
from limner.services.gallery import PictureEncoder, picture_vectors

__all__ = ["HeldOut", "JudgedPairs", "figures_of_reranking", "open_sets"]

_MOST_PICTURES = 1000
_MOST_OF_PAIRS = 128
_MOST_QUERIES = 256
_DEPTH = 10
_SHOWN = ("R@1", "R@5", "R@10", "MRR", "mAP")


def open_sets(data: Sequence[Path]) -> tuple[list[PictureSet], list[np.ndarray], list[np.ndarray]]:
    """Return the sets with their training and held-out rows; a set named twice is read twice and held out once."""
    sets = [PictureSet.open(path) for path in data]
    splits = [hold_out(pictures.rows(["id", "group", "split"])) for pictures in sets]
    held_out = [
        rows if data.index(path) == place else rows[:0]
        for place, (path, (_, rows)) in enumerate(zip(data, splits, strict=True))
    ]
    return sets, [train for train, _ in splits], held_out


class JudgedPairs(NamedTuple):
    """Scores of queries with documents (-inf for a query with itself), which answer, and the queries' concepts."""

    scores: ScoreMatrix
    relevance: Bool[np.ndarray, "queries documents"]
    concepts: Int[np.ndarray, " queries"]


class HeldOut:
    """At most a thousand held-out pictures, kept decoded, with one caption each in the language most of them have.

    A picture answers a caption if it shows the concept of the caption's own picture or has the same caption. Unless
    `captioned`, pictures without captions are among them.
    """

    def __init__(
        self, sets: Sequence[PictureSet], rows: Sequence[np.ndarray], *, say: Say, captioned: bool = True
    ) -> None:
        found: list[dict[str, Any]] = []
        for which, (pictures, chosen) in enumerate(zip(sets, rows, strict=True)):
            table = pictures.rows(["id", "captions", "concept"])
            for row in chosen.tolist():
                entry = {name: table[name][row].as_py() for name in ("id", "captions", "concept")}
                if entry["captions"] or not captioned:
                    found.append(entry | {"which": which, "row": row, "order": hash_share(entry["id"])})
        found = sorted(found, key=lambda entry: entry["order"])[:_MOST_PICTURES]
        language = _most_common(found)
        self.captions: list[str] = []
        self.concepts: list[str] = []
        self.pictures: list[bytes] = []
        for entry in found:
            texts = {caption["language"]: caption["text"] for caption in reversed(entry["captions"])}
            self.captions.append(texts.get(language) or next(iter(texts.values()), ""))
            self.concepts.append(entry["concept"] or f"{entry['which']}/{entry['id']}")
            self.pictures.append(sets[entry["which"]].pictures([entry["row"]])[0])
        self._squares: dict[int, list[Image.Image]] = {}
        if not found:
            say("warning: nothing is held out (too few pictures); the last weights are kept, unjudged")

    def __len__(self) -> int:
        """Return the number of held-out pictures."""
        return len(self.captions)

    def figures(self, embedder: Embedder, texts: Vectors | None = None) -> dict[str, float]:
        """Return text -> picture R@1, R@5, R@10, MRR and mAP of a model; nothing if nothing is held out.

        `texts` are the embeddings of `captions`, if something else than the model's own text tower makes them.
        """
        if not self.captions:
            return {}
        pictures = embedder.embed_pictures(self.squares(embedder.image_size))
        texts = embedder.embed_texts(self.captions) if texts is None else texts
        relevant = [np.flatnonzero(row) for row in self.relevance()]
        values = figures_of_vectors(texts, pictures, relevant, self.ids())
        return _means(values)

    def figures_of_pairs(self, scorer: Reranker, *, query: SideKind, document: SideKind) -> dict[str, float]:
        """Return the same figures of a relevance model; nothing if no query has an answer.

        A model that reads each pair is judged on the first 128 pictures. Among documents of the query's own kind, the
        query itself is no answer.
        """
        judged = self.pairs(scorer, query=query, document=document)
        if judged is None:
            return {}
        last = judged.scores[np.isfinite(judged.scores)].min() - 1
        scores = np.where(np.isfinite(judged.scores), judged.scores, last)
        relevant = [np.flatnonzero(row) for row in judged.relevance]
        values = figures_of_scores(scores, relevant, self.ids()[: scores.shape[1]])
        return _means(values)

    def pairs(self, scorer: Reranker, *, query: SideKind, document: SideKind) -> JudgedPairs | None:
        """Return the scores of all pairs of queries that have an answer with documents; None if none has."""
        count = min(len(self), _MOST_OF_PAIRS if scorer.model.reads_pairs else len(self))
        relevance = self.relevance()[:count, :count]
        if query == document:
            np.fill_diagonal(relevance, False)
        asked = np.flatnonzero(relevance.any(axis=1))
        if not len(asked):
            return None
        parts = {kind: self._parts(scorer, kind, count) for kind in {query, document}}
        scores = scorer.scores(parts[query].take(torch.from_numpy(asked)), parts[document])
        if query == document:
            scores[np.arange(len(asked)), asked] = -np.inf
        concepts = np.unique(self.concepts, return_inverse=True)[1]
        return JudgedPairs(scores, relevance[asked], concepts[asked])

    def embeddings(self, scorer: Reranker) -> Vectors:
        """Return the embeddings of the held-out pictures by a model that embeds."""
        parts = scorer.picture_parts(self.squares(scorer.image_size))
        return parts.vectors[:, 0].numpy()

    def relevance(self) -> Bool[np.ndarray, "queries documents"]:
        """Return whether a held-out picture answers a held-out caption: the same concept, or the same caption."""
        keys = (self.concepts, [caption.casefold() for caption in self.captions])
        numbers = [np.unique(key, return_inverse=True)[1] for key in keys]
        return np.logical_or.reduce([number[:, None] == number[None, :] for number in numbers])

    def _parts(self, scorer: Reranker, kind: SideKind, count: int) -> Parts:
        """Return what a relevance model keeps of the first held-out captions or pictures."""
        if kind == "text":
            return scorer.text_parts(self.captions[:count])
        return scorer.picture_parts(self.squares(scorer.image_size)[:count])

    def squares(self, size: int) -> list[Image.Image]:
        """Return the held-out pictures, each padded to a square of this side; white if one cannot be decoded."""
        if size not in self._squares:
            self._squares[size] = [_square(data, size) for data in self.pictures]
        return self._squares[size]

    def ids(self) -> list[str]:
        """Return a name for each held-out picture, in order."""
        return [f"{item:06d}" for item in range(len(self))]


def figures_of_reranking(held_out: HeldOut, judged: RelevanceModel, start: RelevanceModel | None) -> dict[str, float]:
    """Return R@k, MRR and mAP of held-out pictures that ask for their like, the ten best hits in the judged order.

    A CLIP ranks alone. STIR re-ranks what its own embeddings find or, in the pair form, those of the CLIP it started
    from; without one, it ranks at random first. At most 256 pictures ask, and the others are searched; nothing is
    returned if none has an answer.
    """
    relevance = held_out.relevance()
    np.fill_diagonal(relevance, False)
    asked = np.flatnonzero(relevance.any(axis=1))[:_MOST_QUERIES]
    if not len(asked):
        return {}
    scorer = Reranker(judged, None, name="run")
    pictures = held_out.squares(scorer.image_size)
    first = judged if isinstance(judged, CLIP | EmbeddingSTIR) else start
    if isinstance(first, PictureEncoder):
        vectors = picture_vectors(first, pictures)
    else:
        vectors = np.random.default_rng(0).standard_normal((len(pictures), 2)).astype(np.float32)
    scores = vectors[asked] @ vectors.T
    scores[np.arange(len(asked)), asked] = scores.min() - 1
    if not isinstance(judged, CLIP):
        parts = scorer.picture_parts(pictures)
        scores = rerank(scores, parts.take(torch.from_numpy(asked)), parts, scorer, min(_DEPTH, len(pictures) - 1))
    values = figures_of_scores(scores, [np.flatnonzero(relevance[row]) for row in asked], held_out.ids())
    return _means(values)


def _means(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[name].mean()) for name in _SHOWN}


def _square(data: bytes, size: int) -> Image.Image:
    try:
        return square(decode_picture(data), size)
    except PictureError:
        return Image.new("RGB", (size, size), "white")


def _most_common(entries: Sequence[dict[str, Any]]) -> str:
    languages = [caption["language"] for entry in entries for caption in entry["captions"]]
    counts = {language: languages.count(language) for language in set(languages)}
    return max(sorted(counts), key=lambda name: (counts[name], name == "en"), default="")
