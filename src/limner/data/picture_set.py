"""A picture set: one folder, one Lance table of pictures with what is said about them."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lance.fragment import write_fragments

from limner.errors import DataError, system_errors

__all__ = ["SCHEMA", "Caption", "PictureSet", "Record", "is_picture_set"]

_TEXTS = pa.list_(pa.struct([("text", pa.string()), ("language", pa.string())]))
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        # Encoded pictures do not shrink any more; to try costs a third of the writing.
        pa.field("picture", pa.binary(), metadata={"lance-encoding:compression": "none"}),
        ("captions", _TEXTS),
        ("tags", _TEXTS),
        ("concept", pa.string()),
        ("group", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("split", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("size", pa.int64()),
    ]
)
# A part in memory ends at whichever comes first; each becomes one file of the table.
_PART_BYTES = 32 << 20
_PART_ROWS = 65_536
_READ_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A text about a picture and its BCP-47 language code ("" when unknown)."""

    text: str
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One picture of a set, encoded as it was found, with its texts and its place among the others.

    `concept` names what is shown: pictures of one concept are never each other's negatives (default: the id).
    `group` joins concepts that must not cross a split (default: the concept). `split` is "train", "validation",
    "test" or "" when the source did not say. `width` and `height` are in pixels, 0 when unknown.
    """

    id: str
    picture: bytes
    captions: tuple[Caption, ...] = ()
    tags: tuple[Caption, ...] = ()
    concept: str = ""
    group: str = ""
    source: str = ""
    licence: str = ""
    split: str = ""
    width: int = 0
    height: int = 0


class PictureSet:
    """A picture set on disk; safe to read from several threads, not across a fork."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path = path
        self._dataset = dataset
        self._length: int = dataset.count_rows()

    @classmethod
    def open(cls, path: str | Path) -> "PictureSet":
        """Open a set that exists.

        Raises:
            DataError: if there is none at `path`, or it is damaged or of another layout.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(
                f"there is no picture set at {path}; make one with `limner data import` or `limner data get`"
            )
        if not is_picture_set(path):
            raise DataError(f"{path} is not a picture set; make one of it with `limner data import {path} OUT`")
        try:
            dataset = lance.dataset(path)
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from None
        missing = [name for name in SCHEMA.names if name not in dataset.schema.names]
        if missing:
            raise DataError(f"{path} is a table without the column '{missing[0]}', not a picture set; import it anew")
        return cls(path, dataset)

    @classmethod
    def write(cls, path: str | Path, records: Iterable[Record]) -> "PictureSet":
        """Write a whole set, a part in memory at a time; `path` appears, or is replaced, only when all is on disk.

        Raises:
            DataError: if something other than a picture set is at `path`, an id is used twice, or another process
                is writing the same set.
        """
        path = Path(path)
        if path.exists() and not _is_empty_folder(path):
            _ensure_replaceable(path)
        with _workspace(path) as workspace:
            _write_table(workspace / "set", records)
            _put_in_place(workspace, path)
        return cls.open(path)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._length

    def rows(self, columns: Sequence[str], *, splits: Sequence[str] = ()) -> pa.Table:
        """Return columns of all rows, or of those of some splits, and their positions as the column `_row`.

        Raises:
            DataError: for an unknown column, or a damaged set.
        """
        for column in columns:
            if column not in SCHEMA.names:
                raise DataError(f"no column '{column}' in a picture set; there are {', '.join(SCHEMA.names)}")
        wanted = list(dict.fromkeys([*columns, "split"] if splits else columns)) or ["size"]
        with _reading(self.path):
            table: pa.Table = self._dataset.to_table(columns=wanted)
        table = table.append_column("_row", pa.array(np.arange(len(table), dtype=np.int64)))
        if splits:
            table = table.filter(pc.is_in(table["split"], value_set=pa.array(list(splits), pa.string())))
        return table.select([*dict.fromkeys(columns), "_row"])

    def pictures(self, rows: Sequence[int]) -> list[bytes]:
        """Return the encoded pictures at positions, in the order asked for."""
        return self._take(rows, ["picture"])["picture"].to_pylist()

    def records(self, rows: Sequence[int] | None = None) -> Iterator[Record]:
        """Yield whole records at positions (default: all), reading a bounded number of bytes ahead."""
        chosen = range(len(self)) if rows is None else rows
        with _reading(self.path):
            sizes = self._dataset.to_table(columns=["size"])["size"].to_numpy()
        part: list[int] = []
        held = 0
        for row in chosen:
            part.append(row)
            held += int(sizes[row])
            if held >= _READ_BYTES or len(part) == 4096:
                yield from map(_record, self._take(part, SCHEMA.names).to_pylist())
                part, held = [], 0
        yield from map(_record, self._take(part, SCHEMA.names).to_pylist())

    def _take(self, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
        rows = [int(row) for row in rows]
        if rows and not (min(rows) >= 0 and max(rows) < len(self)):
            raise IndexError(f"positions run from 0 to {len(self) - 1}, got {min(rows)} to {max(rows)}")
        with _reading(self.path):
            return self._dataset.take(rows, columns=list(columns))


def is_picture_set(folder: Path) -> bool:
    """Whether a folder is a table rather than a folder of files."""
    return (folder / "_versions").is_dir()


def _record(row: dict[str, Any]) -> Record:
    del row["size"]
    for name in ("captions", "tags"):
        row[name] = tuple(Caption(text=each["text"], language=each["language"]) for each in row[name])
    return Record(**row)


def _row(record: Record) -> dict[str, Any]:
    concept = record.concept or record.id
    return {
        **record.__dict__,
        "captions": [caption.__dict__ for caption in record.captions],
        "tags": [tag.__dict__ for tag in record.tags],
        "concept": concept,
        "group": record.group or concept,
        "size": len(record.picture),
    }


def _write_table(target: Path, records: Iterable[Record]) -> None:
    fragments: list[Any] = []
    part: list[dict[str, Any]] = []
    held = 0
    seen: set[str] = set()

    def flush() -> None:
        table = pa.Table.from_pylist(part, schema=SCHEMA)
        with system_errors(target):
            fragments.extend(write_fragments(table, str(target), schema=SCHEMA, mode="create"))
        part.clear()

    for record in records:
        if record.id in seen:
            raise DataError(f"two pictures have the id '{record.id}'; give each its own")
        seen.add(record.id)
        part.append(_row(record))
        held += len(record.picture)
        if held >= _PART_BYTES or len(part) >= _PART_ROWS:
            flush()
            held = 0
    if part:
        flush()
    with system_errors(target):
        lance.LanceDataset.commit(str(target), lance.LanceOperation.Overwrite(SCHEMA, fragments))
    _flush_to_disk(target)


def _flush_to_disk(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


@contextmanager
def _workspace(path: Path) -> Iterator[Path]:
    """Hold a locked, empty sibling of `path`; what a killed run left there is removed."""
    workspace = path.with_name(f".{path.name}.partial")
    workspace.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(workspace, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is writing {path}; wait until it has ended") from None
        for leftover in workspace.iterdir():
            shutil.rmtree(leftover)
        try:
            yield workspace
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
    finally:
        os.close(descriptor)


def _put_in_place(workspace: Path, path: Path) -> None:
    """Rename the finished table to `path`; an old set is moved aside first and removed with the workspace."""
    if path.exists():
        path.rename(workspace / "replaced")
    (workspace / "set").rename(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _ensure_replaceable(path: Path) -> None:
    try:
        PictureSet.open(path)
    except DataError:
        raise DataError(f"{path} exists and is not a picture set; choose another place or remove it") from None


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).split(", /")[0]
    return DataError(f"the picture set {path} is damaged ({reason}); build it again")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
