"""Look into picture sets: what they hold, and some of it to see."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet, Record
from limner.data.sheet import check_sheet, save_sheet
from limner.errors import PictureError, UsageError

__all__ = ["Sample", "Summary", "describe", "sample", "write_sheet"]

_COUNTED = {"splits": "split", "sources": "source", "licences": "licence"}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a picture set holds."""

    path: str
    num_pictures: int
    num_captions: int
    num_concepts: int
    bytes: int
    languages: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, int]
    licences: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some records of a set, with the pictures that could be decoded."""

    records: list[Record]
    pictures: list[Image.Image]


def describe(path: Path) -> Summary:
    """Count what a picture set holds.

    Raises:
        DataError: if there is no picture set at `path`.
    """
    pictures = PictureSet.open(path)
    table = pictures.rows(["captions", "concept", "source", "licence", "split", "size"])
    captions = table["captions"].combine_chunks().flatten()
    return Summary(
        path=str(path),
        num_pictures=len(pictures),
        num_captions=len(captions),
        num_concepts=len(table["concept"].unique()),
        bytes=int(np.sum(table["size"].to_numpy())),
        languages=_counts(captions.field("language").to_pylist()),
        **{name: _counts(table[column].to_pylist()) for name, column in _COUNTED.items()},
    )


def _counts(values: list[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def sample(path: Path, *, count: int = 24, splits: Sequence[str] = (), seed: int = 0) -> Sample:
    """Draw pictures of a set at random, the same for the same seed, in the order of the set.

    Raises:
        DataError: if there is no picture set at `path`.
        UsageError: if a split has no picture.
    """
    pictures = PictureSet.open(path)
    rows = pictures.rows(["split"], splits=splits)["_row"].to_numpy()
    if splits and not len(rows):
        raise UsageError(f"{path} has no pictures of split {', '.join(splits)}; leave out --split to see all")
    chosen = np.random.default_rng(seed).choice(rows, size=min(count, len(rows)), replace=False)
    records = list(pictures.records(np.sort(chosen).tolist()))
    return Sample(records=records, pictures=[_shown(record) for record in records])


def write_sheet(found: Sample, out: Path) -> None:
    """Write a contact sheet of a sample, each picture over its first caption.

    Raises:
        UsageError: if the file's ending names no kind of picture.
    """
    check_sheet(out, option="--out")
    titles = [record.captions[0].text if record.captions else f"({record.id})" for record in found.records]
    save_sheet(found.pictures, titles, out)


def _shown(record: Record) -> Image.Image:
    try:
        return decode_picture(record.picture, at_least=160)
    except PictureError:
        return Image.new("RGB", (160, 160), (235, 235, 235))
