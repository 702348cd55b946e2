"""Judge a model on a picture set: retrieval both ways, and zero-shot accuracy where the set has classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS, drawings
from limner.data.picture_set import PictureSet
from limner.data.progress import Report
from limner.errors import DataError, UsageError
from limner.evaluation.classification import judge_zero_shot, name_classes
from limner.evaluation.drawings import (
    DrawingFigures,
    RerankingGains,
    drawing_tests,
    drawing_values,
    estimate_drawings,
    estimate_gains,
    first_scores,
    rerank_drawings,
)
from limner.evaluation.examples import Examples, embed_pictures, gather_examples, gather_pictures, read_parts
from limner.evaluation.intervals import Estimate
from limner.evaluation.reranking import Gains
from limner.evaluation.retrieval import RetrievalFigures, SecondPass, judge_retrieval
from limner.search.embedder import Embedder, load_embedder
from limner.search.reranker import Reranker, load_reranker

__all__ = [
    "SPLITS",
    "DrawingEvaluation",
    "Estimate",
    "Evaluation",
    "RerankedDrawings",
    "evaluate_drawings",
    "evaluate_model",
    "judge",
    "judge_protocol",
]

SPLITS = ("test", "validation", "train", "all")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reached on a set; `split` and `languages` say on which part, `skipped` counts broken pictures."""

    model: str
    picture_set: str
    split: str
    languages: tuple[str, ...]
    retrieval: RetrievalFigures
    zero_shot: Estimate | None
    num_pictures: int
    num_captions: int
    num_concepts: int
    skipped: int

    def columns(self) -> dict[str, dict[str, Estimate]]:
        """Return the columns of a table of figures; those of re-ranking stand beside what it re-ranks."""
        again = self.retrieval.reranked
        second = {} if again is None else {"re-ranked": again.text_to_picture, "gain": again.gains.figures}
        return {
            "text → picture": self.retrieval.text_to_picture,
            **second,
            "picture → text": self.retrieval.picture_to_text,
        }

    def describe(self) -> str:
        """Say on how much it was measured, and the zero-shot accuracy."""
        languages = ", ".join(language or "unknown" for language in self.languages)
        accuracy = f"; zero-shot accuracy {100 * self.zero_shot.mean:.1f}" if self.zero_shot else ""
        again = self.retrieval.reranked
        if again:
            removed = 100 * again.gains.errors_removed.mean
            accuracy += f"; of the errors at rank 1, re-ranking by {again.model} removes {removed:.1f} %"
        return (
            f"{self.num_pictures:,} pictures of {self.num_concepts:,} concepts, {self.num_captions:,} captions "
            f"({languages}); percent, with 95 % intervals{accuracy}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures by direction and name, their intervals, and what they were measured on."""
        directions = {
            "text_to_picture": self.retrieval.text_to_picture,
            "picture_to_text": self.retrieval.picture_to_text,
        }
        values: dict[str, Any] = {direction: _means(figures) for direction, figures in directions.items()}
        values |= {
            "num_pictures": self.num_pictures,
            "num_captions": self.num_captions,
            "num_concepts": self.num_concepts,
            "skipped": self.skipped,
            "model": self.model,
            "set": self.picture_set,
            "split": self.split,
            "languages": list(self.languages),
            "intervals": {direction: _intervals(figures) for direction, figures in directions.items()},
        }
        again = self.retrieval.reranked
        if again:
            values["reranked"] = {
                "model": again.model,
                "depth": again.depth,
            } | _reranked_json("text_to_picture", again.text_to_picture, again.gains)
        if self.zero_shot:
            values["zero_shot"] = {"accuracy": self.zero_shot.mean}
            values["intervals"]["zero_shot"] = {"accuracy": [self.zero_shot.low, self.zero_shot.high]}
        return values


def evaluate_model(
    model: str | Path,
    picture_set: Path,
    *,
    split: str | None = None,
    language: str | None = None,
    protocol: str | None = None,
    rerank: str | Path | None = None,
    depth: int = 50,
    report: Report | None = None,
) -> Evaluation:
    """Return what a model reaches on a split of a set; the test split if there is one, else every picture.

    `rerank` is a model that orders the `depth` best pictures of every caption anew.

    Raises:
        UsageError: for an unknown split or protocol, or a re-ranker that reads no words.
        DataError: if the set, the split or the language has nothing to judge on.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"unknown split '{split}'; known: {', '.join(SPLITS)}")
    if protocol is not None and protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}'; known: {', '.join([*PROTOCOLS, 'D'])}")
    if protocol is not None and split is not None:
        raise UsageError(f"the protocol {protocol} chooses its pictures itself; leave out --split")
    pictures = PictureSet.open(picture_set)
    embedder = load_embedder(model)
    second = None if rerank is None else (load_reranker(rerank), depth)
    if second is not None and second[0].tokenizer is None:
        raise UsageError(f"{rerank} compares pictures with pictures; judge it with --protocol D")
    if protocol is not None:
        return judge_protocol(embedder, pictures, protocol, language=language, second=second, report=report)
    split = split or ("test" if "test" in _splits(pictures) else "all")
    examples = gather_examples(pictures, splits=() if split == "all" else (split,), language=language)
    return judge(embedder, pictures, examples, split=split, second=second, report=report)


def judge_protocol(
    embedder: Embedder,
    pictures: PictureSet,
    protocol: str,
    *,
    language: str | None = None,
    second: tuple[Reranker, int] | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Return what a loaded model reaches on the pictures that a protocol chooses of a built-in set.

    `second` is a re-ranker and its depth.

    Raises:
        DataError: if the protocol finds none of its pictures in the set.
    """
    chosen = PROTOCOLS[protocol]
    rows = chosen.rows(pictures.rows(COLUMNS))
    if not rows:
        raise DataError(
            f"the protocol {protocol} ({chosen.what}) finds no pictures in {pictures.path}; "
            f"make its set with `limner data get {chosen.set_name}`"
        )
    examples = gather_examples(pictures, rows=rows, language=language)
    return judge(embedder, pictures, examples, split=f"protocol {protocol}", second=second, report=report)


def judge(
    embedder: Embedder,
    pictures: PictureSet,
    examples: Examples,
    *,
    split: str,
    second: tuple[Reranker, int] | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Return what a loaded model reaches on gathered examples; `second` is a re-ranker and its depth."""
    found, vectors = embed_pictures(embedder, pictures, examples, report=report)
    names = name_classes(pictures, found)
    again = None
    if second is not None:
        reranker, depth = second
        again = SecondPass(reranker=reranker, depth=depth, parts=read_parts(reranker, pictures, found, report=report))
    return Evaluation(
        model=embedder.name,
        picture_set=str(pictures.path),
        split=split,
        languages=found.languages,
        retrieval=judge_retrieval(embedder, found, vectors, second=again, report=report),
        zero_shot=judge_zero_shot(embedder, found, vectors, names) if names else None,
        num_pictures=len(found.rows),
        num_captions=len(found.captions),
        num_concepts=len(set(found.concepts)),
        skipped=len(examples.rows) - len(found.rows),
    )


@dataclass(frozen=True, kw_only=True)
class RerankedDrawings:
    """What becomes of a `DrawingEvaluation` when a re-ranker orders the `depth` best of every query anew."""

    model: str
    depth: int
    figures: DrawingFigures
    gains: RerankingGains

    def to_json(self) -> dict[str, Any]:
        """Return the figures, what they are more than before, and the share of the errors at rank 1 removed."""
        families = self.gains.families.items()
        return {
            "model": self.model,
            "depth": self.depth,
            "families": {family: _means(figures) for family, figures in self.figures.families.items()},
            "family_gains": {family: _means(gains.figures) for family, gains in families},
            "family_errors_removed": {family: gains.errors_removed.mean for family, gains in families},
        } | _reranked_json("picture_to_picture", self.figures.together, self.gains.together)


@dataclass(frozen=True, kw_only=True)
class DrawingEvaluation:
    """What a model reaches when a drawing in one style asks for the same thing in others."""

    model: str
    picture_set: str
    figures: DrawingFigures
    num_queries: dict[str, int]
    num_pictures: int
    skipped: int
    reranked: RerankedDrawings | None = None
    split: str = "protocol D"

    def columns(self) -> dict[str, dict[str, Estimate]]:
        """Return the columns of a table of figures: all queries, then those of each family, or of all re-ranked."""
        if self.reranked is None:
            return {"all": self.figures.together, **self.figures.families}
        return {
            "extractor": self.figures.together,
            "re-ranked": self.reranked.figures.together,
            "gain": self.reranked.gains.together.figures,
        }

    def family_columns(self, name: str = "R@1") -> dict[str, dict[str, Estimate]]:
        """Return one figure of all re-ranked queries and of those of each family: before, after, gain, errors removed.

        Nothing without a re-ranker.
        """
        if self.reranked is None:
            return {}
        before, after, gains = self.figures, self.reranked.figures, self.reranked.gains
        rows = {"all": (before.together, after.together, gains.together)}
        for family, of_family in gains.families.items():
            rows[family] = before.families[family], after.families[family], of_family
        return {
            f"{family} ({self.num_queries.get(family, sum(self.num_queries.values())):,})": {
                f"{name} extractor": one[name],
                f"{name} re-ranked": other[name],
                "gain": gain.figures[name],
                "errors removed": gain.errors_removed,
            }
            for family, (one, other, gain) in rows.items()
        }

    def describe(self) -> str:
        """Say on how much it was measured."""
        return (
            f"{sum(self.num_queries.values()):,} queries among {self.num_pictures:,} drawings; percent, with 95 % "
            "intervals; R@k is CMC@k, P@k and mAP@R are trec_eval's, (OML) marks Open Metric Learning's definition"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures of all queries, their intervals, the figures by the family that asks, and re-ranked."""
        values: dict[str, Any] = {
            "picture_to_picture": _means(self.figures.together),
            "families": {family: _means(figures) for family, figures in self.figures.families.items()},
            "num_queries": self.num_queries,
            "num_pictures": self.num_pictures,
            "skipped": self.skipped,
            "model": self.model,
            "set": self.picture_set,
            "split": self.split,
            "intervals": {"picture_to_picture": _intervals(self.figures.together)},
        }
        return values if self.reranked is None else values | {"reranked": self.reranked.to_json()}


def evaluate_drawings(
    model: str | Path,
    picture_set: Path,
    *,
    rerank: str | Path | None = None,
    depth: int = 50,
    report: Report | None = None,
) -> DrawingEvaluation:
    """Return what a model reaches on the protocol D: drawings of unseen concepts, each style against the others.

    `rerank` is a model that orders the `depth` best of every query anew.

    Raises:
        DataError: if the set has no such drawings.
    """
    pictures = PictureSet.open(picture_set)
    embedder = load_embedder(model)
    reranker = None if rerank is None else load_reranker(rerank)
    rows = drawings(pictures.rows(COLUMNS))
    needed = sorted({row for asking, gallery in rows.values() if gallery for row in (*asking, *gallery)})
    if not needed:
        raise DataError(
            f"the protocol D finds no drawings in {picture_set}; make its set with `limner data get pictograms`"
        )
    examples = gather_pictures(pictures, needed)
    found, vectors = embed_pictures(embedder, pictures, examples, report=report)
    tests = drawing_tests(found, rows)
    if not tests:
        raise DataError(f"no drawing of {picture_set} has another that answers it; see `limner data check`")
    scores = [first_scores(test, vectors) for test in tests]
    before = [drawing_values(test, of_test) for test, of_test in zip(tests, scores, strict=True)]
    again = None
    if reranker is not None:
        parts = read_parts(reranker, pictures, found, report=report)
        after = [
            drawing_values(test, rerank_drawings(test, of_test, parts, reranker, depth, report))
            for test, of_test in zip(tests, scores, strict=True)
        ]
        again = RerankedDrawings(
            model=reranker.name,
            depth=depth,
            figures=estimate_drawings(tests, after),
            gains=estimate_gains(tests, before, after),
        )
    return DrawingEvaluation(
        model=embedder.name,
        picture_set=str(pictures.path),
        figures=estimate_drawings(tests, before),
        num_queries={test.family: len(test.asking) for test in tests},
        num_pictures=len(found.rows),
        skipped=len(examples.rows) - len(found.rows),
        reranked=again,
    )


def _reranked_json(direction: str, figures: dict[str, Estimate], gains: Gains) -> dict[str, Any]:
    """Return the figures after re-ranking, under the name of their direction, and what they gain."""
    removed = gains.errors_removed
    return {
        direction: _means(figures),
        "gains": _means(gains.figures),
        "errors_removed": removed.mean,
        "intervals": {
            direction: _intervals(figures),
            "gains": _intervals(gains.figures),
            "errors_removed": [removed.low, removed.high],
        },
    }


def _means(figures: dict[str, Estimate]) -> dict[str, float]:
    return {name: figure.mean for name, figure in figures.items()}


def _intervals(figures: dict[str, Estimate]) -> dict[str, list[float]]:
    return {name: [figure.low, figure.high] for name, figure in figures.items()}


def _splits(pictures: PictureSet) -> set[str]:
    return set(pictures.rows(["split"])["split"].to_pylist())
