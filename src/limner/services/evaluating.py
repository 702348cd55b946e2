"""Judge a model on a picture set: retrieval both ways, and zero-shot accuracy where the set has classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS, drawings
from limner.data.picture_set import PictureSet
from limner.data.progress import Report
from limner.errors import DataError, UsageError
from limner.evaluation.classification import judge_zero_shot, name_classes
from limner.evaluation.drawings import DrawingFigures, judge_drawings
from limner.evaluation.examples import Examples, embed_pictures, gather_examples, gather_pictures
from limner.evaluation.intervals import Estimate
from limner.evaluation.retrieval import RetrievalFigures, judge_retrieval
from limner.search.embedder import Embedder, load_embedder

__all__ = [
    "SPLITS",
    "DrawingEvaluation",
    "Estimate",
    "Evaluation",
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
        """Return the columns of a table of figures."""
        return {
            "text → picture": self.retrieval.text_to_picture,
            "picture → text": self.retrieval.picture_to_text,
        }

    def describe(self) -> str:
        """Say on how much it was measured, and the zero-shot accuracy."""
        languages = ", ".join(language or "unknown" for language in self.languages)
        accuracy = f"; zero-shot accuracy {100 * self.zero_shot.mean:.1f}" if self.zero_shot else ""
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
    report: Report | None = None,
) -> Evaluation:
    """Return what a model reaches on a split of a set; the test split if there is one, else every picture.

    Raises:
        UsageError: for an unknown split or protocol.
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
    if protocol is not None:
        return judge_protocol(embedder, pictures, protocol, language=language, report=report)
    split = split or ("test" if "test" in _splits(pictures) else "all")
    examples = gather_examples(pictures, splits=() if split == "all" else (split,), language=language)
    return judge(embedder, pictures, examples, split=split, report=report)


def judge_protocol(
    embedder: Embedder,
    pictures: PictureSet,
    protocol: str,
    *,
    language: str | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Return what a loaded model reaches on the pictures that a protocol chooses of a built-in set.

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
    return judge(embedder, pictures, examples, split=f"protocol {protocol}", report=report)


def judge(
    embedder: Embedder, pictures: PictureSet, examples: Examples, *, split: str, report: Report | None = None
) -> Evaluation:
    """Return what a loaded model reaches on gathered examples."""
    found, vectors = embed_pictures(embedder, pictures, examples, report=report)
    names = name_classes(pictures, found)
    return Evaluation(
        model=embedder.name,
        picture_set=str(pictures.path),
        split=split,
        languages=found.languages,
        retrieval=judge_retrieval(embedder, found, vectors),
        zero_shot=judge_zero_shot(embedder, found, vectors, names) if names else None,
        num_pictures=len(found.rows),
        num_captions=len(found.captions),
        num_concepts=len(set(found.concepts)),
        skipped=len(examples.rows) - len(found.rows),
    )


@dataclass(frozen=True, kw_only=True)
class DrawingEvaluation:
    """What a model reaches when a drawing in one style asks for the same thing in others."""

    model: str
    picture_set: str
    figures: DrawingFigures
    num_pictures: int
    skipped: int
    split: str = "protocol D"

    def columns(self) -> dict[str, dict[str, Estimate]]:
        """Return the columns of a table of figures: all queries, then those of each family."""
        return {"all": self.figures.together, **self.figures.families}

    def describe(self) -> str:
        """Say on how much it was measured."""
        return f"{self.num_pictures:,} drawings; percent, with 95 % intervals"

    def to_json(self) -> dict[str, Any]:
        """Return the figures of all queries, their intervals, and the figures by the family that asks."""
        return {
            "picture_to_picture": _means(self.figures.together),
            "families": {family: _means(figures) for family, figures in self.figures.families.items()},
            "num_pictures": self.num_pictures,
            "skipped": self.skipped,
            "model": self.model,
            "set": self.picture_set,
            "split": self.split,
            "intervals": {"picture_to_picture": _intervals(self.figures.together)},
        }


def evaluate_drawings(model: str | Path, picture_set: Path, *, report: Report | None = None) -> DrawingEvaluation:
    """Return what a model reaches on the protocol D: drawings of unseen concepts, each style against the others.

    Raises:
        DataError: if the set has no such drawings.
    """
    pictures = PictureSet.open(picture_set)
    embedder = load_embedder(model)
    tests = drawings(pictures.rows(COLUMNS))
    tests = {family: test for family, test in tests.items() if test[1]}
    if not tests:
        raise DataError(
            f"the protocol D finds no drawings in {picture_set}; make its set with `limner data get pictograms`"
        )
    rows = sorted({row for asking, gallery in tests.values() for row in (*asking, *gallery)})
    examples = gather_pictures(pictures, rows)
    found, vectors = embed_pictures(embedder, pictures, examples, report=report)
    return DrawingEvaluation(
        model=embedder.name,
        picture_set=str(pictures.path),
        figures=judge_drawings(found, vectors, tests),
        num_pictures=len(found.rows),
        skipped=len(rows) - len(found.rows),
    )


def _means(figures: dict[str, Estimate]) -> dict[str, float]:
    return {name: figure.mean for name, figure in figures.items()}


def _intervals(figures: dict[str, Estimate]) -> dict[str, list[float]]:
    return {name: [figure.low, figure.high] for name, figure in figures.items()}


def _splits(pictures: PictureSet) -> set[str]:
    return set(pictures.rows(["split"])["split"].to_pylist())
