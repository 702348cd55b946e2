"""What there is to index: picture files in folders, by name or by pattern, and the rows of picture sets."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.data.decoding import PICTURE_SUFFIXES
from limner.data.picture_set import PictureSet
from limner.data.sources.texts import is_language
from limner.errors import DataError

__all__ = [
    "SET_MARK",
    "Found",
    "Source",
    "find_pictures",
    "find_sources",
    "is_gone",
    "is_picture_set",
    "side_file_language",
    "split_set_path",
]

# A picture of a set has no file of its own; its path is the set's folder, this mark and its id.
SET_MARK = "#"

_SIDE_SUFFIXES = (".txt", ".json", ".caption")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where pictures are looked for: `place` is a folder, a picture set, a file or a pattern, absolute."""

    place: str

    def covers(self, path: str) -> bool:
        """Whether a picture at `path` would have come from here, even if it is gone now."""
        place = Path(self.place)
        if place.is_dir():
            mark = SET_MARK if is_picture_set(place) else os.sep
            return path.startswith(self.place.rstrip(os.sep) + mark)
        if glob.has_magic(self.place):
            plain = re.split(r"[*?\[]", self.place, maxsplit=1)[0]
            return path.startswith(plain[: plain.rindex(os.sep) + 1])
        return str(Path(path).parent) == str(place.parent)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A picture that can be indexed; `size` in bytes, `modified` in nanoseconds.

    `row` and `set_id` are its position and id in its picture set (-1 and "" for a file).

    `side_files` are the texts next to it that begin with its name, `signature` changes whenever one of them does.
    `fault` says why the file cannot be indexed, if its name alone or its place tells.
    """

    path: str
    size: int
    modified: int
    row: int = -1
    set_id: str = ""
    side_files: tuple[Path, ...] = ()
    signature: str = ""
    fault: str = ""


def find_sources(places: Sequence[str | Path]) -> tuple[Source, ...]:
    """Turn files, folders, patterns and picture sets, as a person names them, into sources.

    Raises:
        DataError: for a place that does not exist.
    """
    sources = []
    for place in places:
        path = Path(place).expanduser()
        if path.exists():
            sources.append(Source(place=str(path.resolve())))
        elif glob.has_magic(str(place)):
            sources.append(Source(place=os.path.abspath(path)))  # noqa: PTH100 - keeps the pattern as it is
        else:
            raise DataError(f"there is no file or folder {place}; check the name")
    return tuple(dict.fromkeys(sources))


def find_pictures(sources: Iterable[Source]) -> list[Found]:
    """List the pictures of all sources, each path once, sorted.

    Raises:
        DataError: for a source without a single picture.
    """
    found: dict[str, Found] = {}
    files: dict[Path, list[str]] = {}
    for source in sources:
        place = Path(source.place)
        if place.suffix.lower() in PICTURE_SUFFIXES and place.parent.is_dir() and not place.is_dir():
            files.setdefault(place.parent, []).append(place.name)
            continue
        pictures = {picture.path: picture for picture in _pictures(source)}
        if not pictures:
            raise _no_pictures(source.place)
        found |= pictures
    for folder, names in files.items():
        found |= {picture.path: picture for picture in _of_names(folder, names)}
    if not found:
        raise _no_pictures(", ".join(map(str, files)))
    return [found[path] for path in sorted(found)]


def is_picture_set(folder: Path) -> bool:
    """Whether a folder is a table rather than a folder of files."""
    return (folder / "_versions").is_dir()


def is_gone(path: str, sources: Iterable[Source]) -> bool:
    """Whether a picture that no source lists is no longer there at all; a set that was not looked at keeps its own."""
    if os.path.lexists(path):
        return False
    return split_set_path(path) is None or any(source.covers(path) for source in sources)


def split_set_path(path: str) -> tuple[Path, str] | None:
    """Return the folder and the id of a picture that lies in a picture set, and None for a file."""
    if Path(path).is_file():
        return None
    start = path.find(SET_MARK)
    while start >= 0:
        folder = Path(path[:start])
        if is_picture_set(folder):
            return folder, path[start + 1 :]
        start = path.find(SET_MARK, start + 1)
    return None


def side_file_language(picture: str, text: str) -> str | None:
    """Return the language that the name of a side file gives ("" for none), and None if it belongs elsewhere."""
    stem, dot, _ = picture.rpartition(".")
    middle, _, suffix = text.rpartition(".")
    if middle in (stem, picture):
        return ""
    language = middle[len(stem) + 1 :]
    is_other = not middle.startswith(stem + dot) or suffix.lower() == "json" or not is_language(language)
    return None if is_other else language


def _no_pictures(place: str) -> DataError:
    kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
    return DataError(f"there are no pictures in {place}; Limner reads {kinds}, and picture sets")


def _pictures(source: Source) -> Iterator[Found]:
    place = Path(source.place)
    if place.is_dir():
        yield from _of_set(place) if is_picture_set(place) else _of_folder(place)
    elif place.exists():
        yield from _of_names(place.parent, [place.name])
    elif glob.has_magic(source.place):
        for match in sorted(glob.glob(source.place, recursive=True)):  # noqa: PTH207 - absolute patterns
            path = Path(match)
            if path.is_dir():
                yield from _of_set(path) if is_picture_set(path) else _of_folder(path)
            elif path.suffix.lower() in PICTURE_SUFFIXES:
                yield from _of_names(path.parent, [path.name])
    else:
        raise DataError(f"there is no file or folder {source.place} any more; name another one, or restore it")


def _of_folder(folder: Path) -> Iterator[Found]:
    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); grant access to it or move it out")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not is_picture_set(Path(parent, name))
        )
        pictures = [
            name for name in names if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
        yield from _of_names(Path(parent), sorted(pictures), names)


def _of_names(folder: Path, pictures: Sequence[str], names: Sequence[str] | None = None) -> Iterator[Found]:
    texts: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder) if names is None else names):  # noqa: PTH208 - names are all that is needed
        if name.lower().endswith(_SIDE_SUFFIXES):
            texts.setdefault(name.split(".")[0], []).append(name)
    for name in pictures:
        near = texts.get(name.split(".")[0], ())
        languages = {text: side_file_language(name, text) for text in near}
        own = sorted((language, text) for text, language in languages.items() if language is not None)
        beside = tuple(folder / text for _, text in own)
        path = folder / name
        try:
            status = path.stat()
            signature = _signature(beside)
            str(path).encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            yield Found(path=shown, size=0, modified=0, fault="has a name that is not in UTF-8; rename it")
            continue
        except OSError as error:
            if path.is_symlink():
                yield Found(
                    path=str(path), size=0, modified=0, fault=f"is a link that leads nowhere ({error.strerror})"
                )
            continue
        yield Found(
            path=str(path),
            size=status.st_size,
            modified=status.st_mtime_ns,
            side_files=beside,
            signature=signature,
        )


def _of_set(folder: Path) -> Iterator[Found]:
    pictures = PictureSet.open(folder)
    modified = max(entry.stat().st_mtime_ns for entry in (folder / "_versions").iterdir())
    rows = pictures.rows(["id", "size"])
    for id, size, row in zip(*(rows[name].to_pylist() for name in ("id", "size", "_row")), strict=True):
        yield Found(
            path=f"{folder}{SET_MARK}{id}", size=size, modified=modified, row=row, set_id=id, signature=str(modified)
        )


def _signature(files: Sequence[Path]) -> str:
    return " ".join(f"{path.name}:{_state(path)}" for path in files)


def _state(file: Path) -> str:
    """Return a text that changes when a side file does; a link that leads nowhere says nothing of its picture."""
    try:
        status = file.stat()
    except OSError as error:
        return str(error.errno)
    return f"{status.st_size}:{status.st_mtime_ns}"
