"""What is said of a picture besides its pixels: captions, tags and values, from side files, a table or its set."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.data.picture_set import Caption, Record
from limner.data.sources.delimited import open_delimited
from limner.data.sources.metadata import Metadata
from limner.data.sources.texts import TEXT_KEYS, caption_lines, clean, read_text
from limner.errors import DataError
from limner.search.scanning import side_file_language

__all__ = ["Annotation", "MetadataTable", "from_record", "from_side_files"]

Value = str | float

_PATH_COLUMNS = ("path", "file", "file_name", "filename", "picture", "image")
_TEXT_COLUMNS = frozenset({*TEXT_KEYS, "tags", "keywords", "language", "lang", "id"})


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

    A JSON file may hold captions and tags as a source of a picture set does, and further keys with a text or a number,
    which become columns. A file that cannot be read says nothing.
    """
    found = Annotation()
    for file in files:
        try:
            text, _ = read_text(file)
            if file.suffix.lower() == ".json":
                found = found.merged(_from_values(json.loads(text)))
            else:
                language = side_file_language(picture.name, file.name) or ""
                found = found.merged(Annotation(captions=tuple(caption_lines(text, language))))
        except (DataError, ValueError, RecursionError):
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
            with open_delimited(self.path) as table:
                names = [name for name in table.columns if name]
                key = next((name for name in names if name.strip().lower() in _PATH_COLUMNS), None)
                if key is None:
                    raise DataError(f"{path} has no column of paths; name one of its columns 'path'")
                for row in table.rows:
                    place = os.path.abspath(self.path.parent / str(row[key] or ""))  # noqa: PTH100 - links stay
                    self._rows[place] = {name: row[name] for name in names if name != key and row[name]}
        except OSError as error:
            raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV") from None

    def signature(self, picture: str) -> str:
        """Return a text that changes when what the table says of a picture does."""
        row = self._rows.get(picture)
        return json.dumps(row, sort_keys=True) if row else ""

    def annotation(self, picture: str) -> Annotation:
        """Return what the table says of a picture; columns in which it gives numbers become numbers."""
        row: dict[str, Any] = dict(self._rows.get(picture, {}))
        return _from_values({key: _number(value) for key, value in row.items()})


def _from_values(content: Any) -> Annotation:
    said = Metadata()
    values = content if isinstance(content, dict) else {"captions": content}
    said.add({str(key): value for key, value in values.items()}, "")
    columns = {_column(str(key)): _value(value) for key, value in values.items()}
    return Annotation(
        captions=tuple(dict.fromkeys(said.captions)),
        tags=tuple(dict.fromkeys(tag.text for tag in said.tags)),
        values={name: value for name, value in columns.items() if name not in _TEXT_COLUMNS and value is not None},
    )


def _value(value: Any) -> Value | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return clean(value) or None
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:
        return None


def _column(name: str) -> str:
    """Return a name as an SQL condition can carry it without quotes."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_") or "_"


def _number(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
