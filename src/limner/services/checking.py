"""Look for pictures that do a collection no good: broken, tiny, double, without words."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from limner.data.duplicates import near_duplicates
from limner.data.inspection import inspect
from limner.data.progress import Report
from limner.data.sources.items import Note, Rejected, SourceOptions
from limner.data.sources.opening import open_source
from limner.data.thumbnails import Thumbnail
from limner.errors import DataError

__all__ = ["Check", "SourceOptions", "check"]

_TINY_PIXELS = 16


@dataclass(kw_only=True)
class Check:
    """The ids of the pictures found wanting; `broken` with the reason, `tiny` with the size, doubles in groups.

    `near_duplicates` are groups that look alike at 16 x 16 pixels without being the same file.
    """

    path: str
    num_pictures: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    tiny: dict[str, str] = field(default_factory=dict)
    duplicates: list[list[str]] = field(default_factory=list)
    near_duplicates: list[list[str]] = field(default_factory=list)
    without_captions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def check(path: str, options: SourceOptions, *, report: Report | None = None) -> Check:
    """Decode every picture of a set, a folder or another source and report what is wrong with them.

    Thumbnails and hashes (about 1 KB a picture) are held in memory.

    Raises:
        DataError: if there is no picture at all.
    """
    found = Check(path=path)
    by_hash: dict[bytes, list[str]] = {}
    thumbnails: list[Thumbnail] = []
    for item in inspect(open_source(path, options)):
        if isinstance(item, Note):
            found.notes += [item.text] if item.text not in found.notes else []
            continue
        found.num_pictures += 1
        if report:
            report(found.num_pictures, None, "")
        if isinstance(item, Rejected):
            found.broken[item.name] = item.reason
            continue
        record = item.record
        if min(item.width, item.height) < _TINY_PIXELS:
            found.tiny[record.id] = f"{item.width} x {item.height}"
        if not record.captions:
            found.without_captions.append(record.id)
        same = by_hash.setdefault(hashlib.sha256(record.picture).digest(), [])
        if not same:
            thumbnails.append(item.thumbnail)
        same.append(record.id)
    if not found.num_pictures:
        raise DataError(f"there are no pictures in {path}; give a picture set or a folder that holds some")
    found.duplicates = [same for same in by_hash.values() if len(same) > 1]
    first_of = [same[0] for same in by_hash.values()]
    found.near_duplicates = [[first_of[place] for place in group] for group in near_duplicates(thumbnails)]
    return found
