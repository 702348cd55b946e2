"""Where the pictures that a table names lie, and never outside."""

import os
import re
from collections.abc import Iterator
from glob import has_magic
from pathlib import Path

from limner.data.decoding import read_bytes
from limner.errors import DataError, PictureError

__all__ = ["expand", "read_within"]

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MOST_SHARDS = 100_000


def read_within(root: Path, name: str) -> bytes:
    """Return the bytes of a picture named by an absolute path, or by one relative to `root` that stays below it.

    Raises:
        PictureError: if it is missing, unreadable, an address, or outside.
    """
    if not name:
        raise PictureError("has no path")
    if "://" in name:
        raise PictureError("is an address, not a file; download the pictures first")
    if "\0" in name or len(os.fsencode(name)) > 4096:
        raise PictureError("is not a path")
    if Path(name).is_absolute():
        return read_bytes(Path(name))
    place = os.path.normpath(name.replace("\\", "/"))
    if place.split("/")[0] == "..":
        raise PictureError(f"lies outside {root}; name it by its absolute path if that is meant")
    return read_bytes(root / place)


def expand(pattern: str) -> list[Path]:
    """Return the files of a path, a glob (`*.tar`), a range (`{000..015}.tar`) or a choice (`{a,b}.tar`), in order.

    Raises:
        DataError: if there is none.
    """
    if Path(pattern).exists():
        return [Path(pattern)]
    found: list[Path] = []
    for each in _braces(pattern):
        found += _matches(Path(each)) if has_magic(each) else [Path(each)]
    missing = [path for path in found if not path.exists()]
    if missing or not found:
        raise DataError(f"there is nothing at {missing[0] if missing else pattern}; check the path")
    return found


def _matches(pattern: Path) -> list[Path]:
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))


def _braces(pattern: str) -> Iterator[str]:
    match = _RANGE.search(pattern) or _CHOICE.search(pattern)
    if match is None:
        yield pattern
        return
    before, after = pattern[: match.start()], pattern[match.end() :]
    if match.re is _RANGE:
        first, last = match.groups()
        if not 0 <= int(last) - int(first) < _MOST_SHARDS:
            raise DataError(f"the range {match.group()} is empty or too long; write it as {{000..015}}")
        choices = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    else:
        choices = match.group(1).split(",")
    for choice in choices:
        yield from _braces(before + choice + after)
