"""Which columns of a table hold pictures, captions and names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.sources.items import SourceOptions
from limner.data.sources.metadata import Metadata
from limner.data.sources.texts import captions_in, language_in
from limner.errors import DataError, UsageError

__all__ = ["Columns", "choose_columns"]

_PICTURES = (
    *("path", "image", "file_name", "filename", "filepath", "file_path", "image_path", "image_name"),
    *("picture", "picture_path", "img", "file", "photo", "jpg", "png"),
)
_CAPTIONS = (
    *("caption", "captions", "text", "texts", "sentence", "sentences", "title", "comment"),
    *("description", "alt", "alt_text", "prompt"),
)
_NAMES = ("language", "split", "concept", "group", "tags", "keywords", "source", "licence", "license")


@dataclass(frozen=True)
class Columns:
    """The columns of pictures, of captions (each with the language in its name), and of other known names."""

    picture: str
    captions: tuple[tuple[str, str], ...]
    names: dict[str, str]

    def others(self, known: Sequence[str]) -> list[str]:
        """Return the columns besides the picture's that are read."""
        wanted = {name for name, _ in self.captions} | set(self.names.values())
        return [name for name in known if name in wanted and name != self.picture]

    def describe(self, row: dict[str, Any], language: str) -> Metadata:
        """Return what a row says; `language` is that of captions without one."""
        values = {key: _unpacked(row[name]) for key, name in self.names.items() if row.get(name) is not None}
        code = language_in(values, language)
        metadata = Metadata()
        metadata.add(values, code)
        for name, own in self.captions:
            metadata.captions += captions_in(_unpacked(row.get(name)), own or code)
        return metadata


def _unpacked(cell: Any) -> Any:
    """Return the list that a cell of text holds as JSON, or the cell itself."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def choose_columns(columns: Sequence[str], options: SourceOptions, path: Path) -> Columns:
    """Find the columns by the user's word or by the names in common use.

    Raises:
        UsageError: if a column that the user named does not exist.
        DataError: if no picture or caption column is found.
    """
    columns = [column for column in columns if column]
    for name in (options.picture_column, *options.caption_columns):
        if name and name not in columns:
            raise UsageError(f"{path} has no column '{name}'; it has {', '.join(columns)}")
    plain = {re.sub(r"[\s\-]+", "_", column.strip().lower()): column for column in reversed(columns)}
    picture = options.picture_column or next((plain[name] for name in _PICTURES if name in plain), "")
    if not picture:
        raise DataError(
            f"{path} has no column of pictures; name it with --picture-column (it has {', '.join(columns)})"
        )
    captions = tuple((name, _language_of(name)) for name in options.caption_columns)
    if not captions:
        captions = next((found for base in _CAPTIONS if (found := _columns_of(base, plain, picture))), ())
    if not captions:
        raise DataError(
            f"{path} has no column of captions; name it with --caption-column (it has {', '.join(columns)})"
        )
    names = {name: plain[name] for name in _NAMES if name in plain}
    return Columns(picture, captions, names)


def _columns_of(base: str, plain: dict[str, str], picture: str) -> tuple[tuple[str, str], ...]:
    """Return `caption`, `caption_1`, `caption_ru` and their like, in the table's order."""
    pattern = re.compile(rf"{base}(_?\d+|[_.]([a-z]{{2,3}}))?")
    found = [(name, match) for key, name in plain.items() if (match := pattern.fullmatch(key)) and name != picture]
    return tuple((name, match.group(2) or "") for name, match in reversed(found))


def _language_of(column: str) -> str:
    ending = re.split(r"[_.\s-]", column.lower())[-1]
    return ending if ending != column.lower() and re.fullmatch("[a-z]{2}", ending) else ""
