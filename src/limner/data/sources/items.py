"""What a source yields besides records, and how the user wants it read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limner.data.picture_set import Record

__all__ = ["Item", "Items", "Note", "Rejected", "SourceOptions"]


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A picture that was left out: its name in the source, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something about the whole source that its owner should know."""

    text: str


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How to read a source where it does not say itself.

    `pictures` is the folder that relative paths start from (default: the table's own). `picture_column` and
    `caption_columns` name columns of tables. `language` is that of captions without one. `file_names` says whether a
    picture without side files is captioned by its name: always, never, or (None) when no picture has a side file.
    """

    pictures: Path | None = None
    picture_column: str = ""
    caption_columns: tuple[str, ...] = ()
    language: str = ""
    file_names: bool | None = None


Item = Record | Rejected | Note
Items = Iterator[Item]
