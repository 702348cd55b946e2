"""What is said of a picture besides its pixels: captions, tags and values, from side files, a table or its set."""

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.data.picture_set import Caption, Record
from limner.errors import DataError

__all__ = ["Annotation", "MetadataTable", "from_record", "from_side_files"]

Value = str | float

_PATH_COLUMNS = ("path", "file", "file_name", "filename", "picture", "image")
_RESERVED = frozenset({"caption", "captions", "tags", "language", "id", "picture", "image"})
_TEXT_KEYS = ("captions", "caption", "text", "title", "description")
_LARGEST_SIDE_FILE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """Captions and tags with their languages, and further values by column name."""

    captions: tuple[Caption, ...] = ()
    tags: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def merged(self, other: "Annotation") -> "Annotation":
        """Return both together; the other's values win."""
        return Annotation(
            captions=tuple(dict.fromkeys(self.captions + other.captions)),
            tags=tuple(dict.fromkeys(self.tags + other.tags)),
            values={**self.values, **other.values},
        )


def from_side_files(picture: Path, files: tuple[Path, ...]) -> Annotation:
    """Read `a.txt` (a caption a line), `a.ru.txt` (in Russian) and `a.json` next to `a.png`.

    A JSON file may hold `caption` or `captions` (texts, or objects with `text` and `language`), `tags`, `language`,
    and further keys with a text or a number, which become columns. A file that cannot be read says nothing.
    """
    found = Annotation()
    for file in files:
        middle = file.name[len(picture.stem) + 1 :].rpartition(".")[0]
        try:
            if file.stat().st_size > _LARGEST_SIDE_FILE:
                continue
            text = file.read_text(encoding="utf-8-sig", errors="replace")
            if file.suffix.lower() == ".json":
                found = found.merged(_from_json(json.loads(text), middle))
            else:
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                found = found.merged(Annotation(captions=tuple(Caption(text=line, language=middle) for line in lines)))
        except (OSError, ValueError, RecursionError):
            continue
    return found


def from_record(record: Record) -> Annotation:
    """Take the texts of a picture of a set, and its source, licence, split, concept and group as values."""
    values = {name: str(getattr(record, name)) for name in ("concept", "group", "source", "licence", "split")}
    return Annotation(
        captions=record.captions,
        tags=tuple(tag.text for tag in record.tags),
        values={name: value for name, value in values.items() if value},
    )


class MetadataTable:
    """A CSV or TSV file with a column of paths; its other columns describe the pictures at those paths.

    A path is absolute, or starts at the folder of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._rows: dict[str, dict[str, str]] = {}
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
                names = [name for name in reader.fieldnames or [] if name]
                key = next((name for name in names if name.strip().lower() in _PATH_COLUMNS), None)
                if key is None:
                    raise DataError(f"{path} has no column of paths; name one of its columns 'path'")
                for row in reader:
                    place = str((self.path.parent / str(row.pop(key) or "")).resolve())
                    self._rows[place] = {name: row[name] for name in names if row.get(name)}
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from None

    def signature(self, picture: str) -> str:
        """Return a text that changes when what the table says of a picture does."""
        row = self._rows.get(picture)
        return json.dumps(row, sort_keys=True) if row else ""

    def annotation(self, picture: str) -> Annotation:
        """Return what the table says of a picture; columns in which it gives numbers become numbers."""
        row: dict[str, Any] = dict(self._rows.get(picture, {}))
        return _from_json({key: _number(value) for key, value in row.items()}, "")


def _from_json(content: Any, language: str) -> Annotation:
    if isinstance(content, str | list):
        content = {"captions": content}
    if not isinstance(content, dict):
        return Annotation()
    keys = {_column(str(key)): value for key, value in content.items()}
    language = str(keys.get("language") or language)
    values: dict[str, Value] = {}
    for key, value in keys.items():
        if key in _RESERVED or not key:
            continue
        if isinstance(value, str):
            values[key] = value
        elif isinstance(value, bool):
            values[key] = str(value).lower()
        elif isinstance(value, int | float) and math.isfinite(value):
            values[key] = float(value)
    texts = next((keys[key] for key in _TEXT_KEYS if keys.get(key)), ())
    tags = keys.get("tags") or ()
    return Annotation(
        captions=_texts(texts, language),
        tags=tuple(tag.text for tag in _texts(tags.split(",") if isinstance(tags, str) else tags, language)),
        values=values,
    )


def _texts(content: Any, language: str) -> tuple[Caption, ...]:
    texts = []
    for each in content if isinstance(content, list | tuple) else [content]:
        if isinstance(each, dict):
            text, spoken = each.get("text", each.get("caption")), str(each.get("language") or language)
        else:
            text, spoken = each, language
        if isinstance(text, str) and text.strip():
            texts.append(Caption(text=text.strip(), language=spoken))
    return tuple(dict.fromkeys(texts))


def _column(name: str) -> str:
    """Return a name as an SQL column can carry it without quotes."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _number(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
