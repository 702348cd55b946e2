"""Pictures of a collection that are copies of each other, or that its model takes for the same thing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from limner.data.duplicates import linked, near_duplicates
from limner.data.progress import Report
from limner.data.sheet import check_sheet, save_sheet
from limner.data.thumbnails import thumbnail
from limner.errors import PictureError
from limner.search.collection import Collection
from limner.search.embedder import Vectors
from limner.search.reading import open_indexed
from limner.search.retrieve import Hit

__all__ = ["Duplicates", "Group", "check_sheet", "draw_groups", "find_duplicates"]

_ROWS_AT_ONCE = 512
_MOST_SHOWN = 120


@dataclass(frozen=True, kw_only=True)
class Group:
    """Two or more pictures: near copies, the same at 16 x 16 pixels, or alike to the model without being copies.

    The score of each picture is its cosine with the first.
    """

    kind: Literal["copies", "alike"]
    pictures: tuple[Hit, ...]


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """The groups of a collection, copies first, and why some of its pictures could not be looked at."""

    num_pictures: int
    groups: tuple[Group, ...]
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, without what no group has."""
        groups = [
            {
                "kind": group.kind,
                "pictures": [{k: v for k, v in asdict(hit).items() if v is not None} for hit in group.pictures],
            }
            for group in self.groups
        ]
        skipped = [{"path": path, "reason": reason} for path, reason in self.skipped.items()]
        return {"num_pictures": self.num_pictures, "groups": groups, "skipped": skipped}


def find_duplicates(path: Path, *, threshold: float = 0.95, report: Report) -> Duplicates:
    """Return groups of pictures, joined where two are near copies, and else where their cosine reaches `threshold`.

    Of copies only the first takes part in the groups of pictures that are alike.

    Raises:
        CollectionError: if there is no collection.
    """
    entries, vectors = Collection.open(path).everything()
    thumbnails, seen, skipped = [], [], {}
    for place, entry in enumerate(entries):
        try:
            thumbnails.append(thumbnail(open_indexed(entry.path)))
            seen.append(place)
        except PictureError as error:
            skipped[entry.path] = str(error)
        report(place + 1, len(entries), "")
    copies = [[seen[place] for place in group] for group in near_duplicates(thumbnails)]
    repeated = {place for group in copies for place in group[1:]}
    single = [place for place in range(len(entries)) if place not in repeated]
    alike = [[single[place] for place in group] for group in _alike(vectors[single], threshold)]
    groups = [_group("copies", places, entries, vectors) for places in copies]
    groups += [_group("alike", places, entries, vectors) for places in alike]
    return Duplicates(num_pictures=len(entries), groups=tuple(groups), skipped=skipped)


def draw_groups(found: Duplicates, out: Path) -> None:
    """Write a contact sheet of at most 120 pictures, group by group; one that is gone stays white."""
    numbered = [(number, group, hit) for number, group in enumerate(found.groups, 1) for hit in group.pictures]
    shown = numbered[:_MOST_SHOWN]
    titles = [f"{number}. {group.kind} {hit.score:.3f} {hit.caption}" for number, group, hit in shown]
    save_sheet([_opened(hit) for _, _, hit in shown], titles, out)


def _alike(vectors: Vectors, threshold: float) -> list[list[int]]:
    """Return the connected groups of rows whose cosine reaches a threshold; memory holds 512 rows of cosines."""
    count = len(vectors)
    left, right = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start in range(0, count, _ROWS_AT_ONCE):
        rows, columns = np.nonzero(vectors[start : start + _ROWS_AT_ONCE] @ vectors.T >= threshold)
        later = columns > rows + start
        left.append(rows[later] + start)
        right.append(columns[later])
    return linked(np.concatenate(left), np.concatenate(right), count)


def _group(kind: Literal["copies", "alike"], places: Sequence[int], entries: Sequence[Hit], vectors: Vectors) -> Group:
    cosines = vectors[places] @ vectors[places[0]]
    pictures = [
        Hit(
            rank=rank,
            id=entries[place].id,
            path=entries[place].path,
            score=float(cosine),
            caption=entries[place].caption,
        )
        for rank, (place, cosine) in enumerate(zip(places, cosines, strict=True), start=1)
    ]
    return Group(kind=kind, pictures=tuple(pictures))


def _opened(hit: Hit) -> Image.Image:
    try:
        return open_indexed(hit.path)
    except PictureError:
        return Image.new("RGB", (64, 64), "white")
