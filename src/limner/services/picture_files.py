"""Picture files named by people: files and those in folders, read one by one, faulty ones skipped and named."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from limner.data.decoding import decode_picture, read_bytes
from limner.data.picture_set import is_picture_set
from limner.data.progress import Report
from limner.errors import PictureError, UsageError
from limner.search.scanning import find_pictures, find_sources

__all__ = ["find_files", "none_readable", "read_files"]


def find_files(places: Sequence[Path], *, remedy: str) -> dict[Path, str]:
    """Return the files named and those in folders, each once, with the fault that is known of it without reading.

    Raises:
        UsageError: ending in `remedy`, if a place is a picture set.
        DataError: for a folder without pictures.
    """
    paths: dict[Path, str] = {}
    for place in places:
        if is_picture_set(place):
            raise UsageError(f"{place} is a picture set; {remedy}")
        if place.is_dir():
            paths |= {Path(entry.path): entry.fault for entry in find_pictures(find_sources([place]))}
        else:
            paths[place] = ""
    return paths


def read_files(
    paths: Mapping[Path, str], skipped: dict[Path, str], report: Report | None, *, at_least: int
) -> Iterator[Image.Image]:
    """Yield the pictures that can be read; the others get into `skipped`, with the reason."""
    for place, (path, fault) in enumerate(paths.items(), 1):
        try:
            if fault:
                raise PictureError(fault)
            yield decode_picture(read_bytes(path), at_least=at_least)
        except PictureError as error:
            skipped[path] = str(error)
        if report:
            report(place, len(paths), "")


def none_readable(skipped: Mapping[Path, str]) -> PictureError:
    """Return the error that not one of the pictures can be read."""
    path, reason = next(iter(skipped.items()))
    return PictureError(f"none of the {len(skipped)} pictures can be read ({path}: {reason}); give other files")
