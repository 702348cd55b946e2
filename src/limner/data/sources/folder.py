"""A folder of pictures with their captions in side files, or in their names."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limner.data.decoding import PICTURE_SUFFIXES, read_bytes
from limner.data.picture_set import Caption, Record
from limner.data.sources.items import Items, Note, Rejected, SourceOptions
from limner.data.sources.metadata import Metadata
from limner.data.sources.texts import caption_lines, clean, is_language, read_text
from limner.errors import DataError, PictureError

__all__ = ["caption_of_name", "read_folder"]

_FOREIGN_SUFFIXES = frozenset(
    {".avif", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".psd", ".raw", ".cr2", ".nef", ".pdf"}
)
_NUMBERING = re.compile(
    r"([a-z]{0,2}|img|dsc[fn]?|pict?)\d+[a-z]?|(?=[a-f]*\d)[0-9a-f]{8,}|copy", re.ASCII | re.IGNORECASE
)
# What cameras and programs call numbered pictures says nothing about them.
_CAMERA_WORDS = frozenset(
    ("img", "dsc", "dscf", "dscn", "pic", "pict", "picture", "image", "photo", "screenshot", "scan", "file")
    + ("untitled", "unnamed", "frame", "whatsapp", "from", "at")
)


def read_folder(folder: Path, options: SourceOptions) -> Items:
    """Yield the pictures of a folder and its subfolders in the order of their names.

    `a.png` is captioned by `a.txt` (a caption a line), `a.ru.txt` (in another language) and `a.json` (captions, tags
    and the names of a record); without any side file in the whole folder, by its name: `red_fox-02.png` is "red fox".
    Where the name is a mere number, its subfolder's name stands in. Hidden files and linked folders are left out.
    """
    by_name = options.file_names
    if by_name is None:
        by_name = not any(group.side_files(name) for group in _folders(folder, []) for name in group.pictures)
        if by_name:
            yield Note(text="no picture has a side file with captions; the file names are used as captions")
    unreadable: list[OSError] = []
    for group in _folders(folder, unreadable):
        for name in sorted([*group.pictures, *group.foreign]):
            identity = clean(os.fsencode(os.path.relpath(group.path / name, folder)).decode("utf-8", "replace"))
            if name in group.foreign:
                yield Rejected(name=identity, reason="is of a kind that is not supported; convert it to PNG or JPEG")
                continue
            try:
                metadata, notes = _metadata(group, name, options, by_name=by_name)
                yield from notes
                picture = read_bytes(group.path / name)
                yield Record(id=identity, picture=picture, **metadata.for_record())
            except (PictureError, DataError) as error:
                yield Rejected(name=identity, reason=str(error))
    for fault in unreadable:
        yield Rejected(name=str(fault.filename), reason=f"is a folder that cannot be read ({fault.strerror})")


def caption_of_name(name: str) -> str:
    """Return the words of a file name without its numbering, "" if it has none."""
    all_words = [word for word in re.split(r"[\s_\-+.,()\[\]]+", clean(name)) if word]
    words = list(all_words)
    while words and _NUMBERING.fullmatch(words[-1]):
        words.pop()
    while words and _NUMBERING.fullmatch(words[0]):
        words.pop(0)
    if len(words) < len(all_words) and all(word.lower() in _CAMERA_WORDS for word in words):
        return ""
    return " ".join(words)


@dataclass(frozen=True)
class _Folder:
    """The file names of one folder: pictures, pictures of unknown kinds, and texts by the stem they may belong to."""

    path: Path
    is_inner: bool
    pictures: list[str]
    foreign: list[str]
    texts: dict[str, list[tuple[str, str]]]

    def side_files(self, name: str) -> list[tuple[str, str]]:
        """Return the side files of a picture, each with the language that its name gives."""
        return self.texts.get(name.rpartition(".")[0], []) + self.texts.get(name, [])


def _folders(root: Path, unreadable: list[OSError]) -> Iterator[_Folder]:
    for path, subfolders, names in os.walk(root, onerror=unreadable.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        found = _Folder(Path(path), Path(path) != root, [], [], {})
        for name in sorted(names):
            stem, dot, suffix = name.rpartition(".")
            suffix = (dot + suffix).lower()
            if not stem or name.startswith("."):
                continue
            if suffix in PICTURE_SUFFIXES:
                found.pictures.append(name)
            elif suffix in _FOREIGN_SUFFIXES:
                found.foreign.append(name)
            elif suffix in (".txt", ".json", ".caption"):
                found.texts.setdefault(stem, []).append((name, ""))
                first, _, language = stem.rpartition(".")
                if suffix != ".json" and first and is_language(language):
                    found.texts.setdefault(first, []).append((name, language))
        if found.pictures or found.foreign:
            yield found


def _metadata(group: _Folder, name: str, options: SourceOptions, *, by_name: bool) -> tuple[Metadata, list[Note]]:
    metadata, notes = Metadata(), []
    for side_name, language in group.side_files(name):
        text, assumed = read_text(group.path / side_name)
        if assumed:
            notes.append(Note(text=f"{side_name} is not UTF-8; read as {assumed}"))
        if side_name.lower().endswith(".json"):
            metadata.add_json(text, options.language)
        else:
            metadata.captions += caption_lines(text, language or options.language)
    if by_name and not metadata.captions:
        words = caption_of_name(name.rpartition(".")[0]) or (group.is_inner and caption_of_name(group.path.name))
        if words:
            metadata.captions.append(Caption(text=words, language=options.language))
    return metadata, notes
