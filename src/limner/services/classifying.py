"""Give pictures labels without training on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.decoding import read_picture
from limner.data.progress import Report
from limner.data.sheet import check_sheet, save_sheet
from limner.errors import UsageError
from limner.search.embedder import load_embedder
from limner.search.embedding import embed_stream
from limner.search.zero_shot import check_labels, check_templates, label_probabilities, label_scale, label_vectors
from limner.services.picture_files import find_files, none_readable, read_files

__all__ = [
    "Classification",
    "ClassifiedPicture",
    "check_sheet",
    "classify_pictures",
    "draw_sheet",
    "read_labels",
    "read_prompts",
]


@dataclass(frozen=True, kw_only=True)
class ClassifiedPicture:
    """A picture file with the probability of each label and the likeliest one."""

    path: Path
    probabilities: dict[str, float]
    label: str


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The pictures in the order given, and those that could not be read with the reason."""

    labels: tuple[str, ...]
    pictures: tuple[ClassifiedPicture, ...]
    skipped: dict[Path, str]

    def to_json(self) -> dict[str, Any]:
        """Return labels, pictures and skipped files as JSON values."""
        return {
            "labels": list(self.labels),
            "pictures": [
                {"path": str(entry.path), "probabilities": entry.probabilities, "label": entry.label}
                for entry in self.pictures
            ],
            "skipped": [{"path": str(path), "reason": reason} for path, reason in self.skipped.items()],
        }


def classify_pictures(
    model: str | Path,
    places: Sequence[Path],
    labels: Sequence[str],
    *,
    templates: Sequence[str] | None = None,
    report: Report | None = None,
) -> Classification:
    """Return the probabilities of picture files and of the pictures in folders; unreadable ones are skipped and named.

    Raises:
        UsageError: for labels or templates that cannot be used, or a picture set among the places.
        DataError: for a folder without pictures.
        PictureError: if no file can be read.
    """
    check_labels(labels)
    if templates is not None:
        check_templates(templates)
    paths = find_files(places, remedy="classify takes files and folders, `limner evaluate` judges sets")
    embedder = load_embedder(model)
    skipped: dict[Path, str] = {}
    vectors = embed_stream(embedder, read_files(paths, skipped, report, at_least=embedder.image_size))
    read = [path for path in paths if path not in skipped]
    if not read:
        raise none_readable(skipped)
    rows = label_probabilities(vectors, label_vectors(embedder, labels, templates), label_scale(embedder))
    return Classification(
        labels=tuple(labels),
        pictures=tuple(
            ClassifiedPicture(
                path=path, probabilities=dict(zip(labels, row.tolist(), strict=True)), label=labels[row.argmax()]
            )
            for path, row in zip(read, rows, strict=True)
        ),
        skipped=skipped,
    )


def read_labels(labels: str) -> list[str]:
    """Return labels from `a,b,c`, or from a file with one a line, given as `@FILE`.

    Raises:
        UsageError: if the file cannot be read.
    """
    parts = _lines(Path(labels[1:]), "labels") if labels.startswith("@") else labels.split(",")
    return [part.strip() for part in parts]


def read_prompts(path: Path) -> list[str]:
    """Return the prompt templates of a file, one a line.

    Raises:
        UsageError: if the file cannot be read.
    """
    return _lines(path, "prompts")


def draw_sheet(found: Classification, out: Path) -> None:
    """Write a contact sheet with each picture above its label and probability."""
    pictures = [read_picture(entry.path) for entry in found.pictures]
    titles = [f"{entry.label} {entry.probabilities[entry.label]:.0%}" for entry in found.pictures]
    save_sheet(pictures, titles, out)


def _lines(path: Path, what: str) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file of {what} {path} cannot be read ({error}); give a text file in UTF-8") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
