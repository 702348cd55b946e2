"""Tables with a row for each picture or caption: CSV, TSV, JSON lines, Parquet."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limner.data.picture_set import Record
from limner.data.sources.columns import Columns, choose_columns
from limner.data.sources.delimited import open_delimited
from limner.data.sources.items import Items, Note, Rejected, SourceOptions
from limner.data.sources.metadata import Metadata
from limner.data.sources.paths import read_within
from limner.data.sources.texts import clean, unicode_in
from limner.errors import DataError, PictureError

__all__ = ["read_delimited", "read_json_lines", "read_parquet", "read_rows"]

Row = dict[str, Any]
_HEAD_ROWS = 1000
_PARQUET_BATCH = 64


def read_delimited(path: Path, options: SourceOptions) -> Items:
    """Yield the pictures that a CSV or TSV file with a header names; rows of one picture are put together."""
    with open_delimited(path) as table:
        if table.assumed:
            yield Note(text=f"{path.name} is not UTF-8; read as {table.assumed}")
        entries = _gather(table.rows, choose_columns(table.columns, options, path), options)
    yield from _records(entries, options.pictures or path.parent)


def read_json_lines(path: Path, options: SourceOptions) -> Items:
    """Yield the pictures that a file with one JSON object a line names."""

    def rows() -> Iterator[Row]:
        with path.open(encoding=unicode_in(path), errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_row(line, f"line {number} of {path}")

    return read_rows(rows(), path, options)


def read_rows(rows: Iterable[Row], path: Path, options: SourceOptions) -> Items:
    """Yield the pictures that rows name by path; captions are held in memory, pictures are not."""
    iterator = iter(rows)
    head = list(islice(iterator, _HEAD_ROWS))
    if not head:
        raise DataError(f"{path} holds no rows; nothing can be imported from it")
    columns = choose_columns(list(dict.fromkeys(key for row in head for key in row)), options, path)
    entries = _gather(chain(head, iterator), columns, options)
    yield from _records(entries, options.pictures or path.parent)


def read_parquet(path: Path, options: SourceOptions) -> Items:
    """Yield the pictures of a Parquet file, which holds them itself (also as {bytes, path}) or names them by path."""
    try:
        with pq.ParquetFile(path) as file:
            columns = choose_columns(file.schema_arrow.names, options, path)
            kind = file.schema_arrow.field(columns.picture).type
            wanted = [columns.picture, *columns.others(file.schema_arrow.names)]
            batches = file.iter_batches(batch_size=_PARQUET_BATCH, columns=wanted)
            rows = (row for batch in batches for row in batch.to_pylist())
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                yield from _records(_gather(rows, columns, options), options.pictures or path.parent)
            else:
                yield from _embedded(rows, columns, path, options)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{path} is not a sound Parquet file ({error}); write it anew") from None


def _embedded(rows: Iterable[Row], columns: Columns, path: Path, options: SourceOptions) -> Items:
    for number, row in enumerate(rows):
        cell = row[columns.picture]
        data, name = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        identity = f"{path.stem}/{number:07d}" + (f"-{clean(Path(name).name)}" if isinstance(name, str) else "")
        if isinstance(data, bytes):
            yield Record(id=identity, picture=data, **columns.describe(row, options.language).for_record())
        elif isinstance(name, str) and data is None:
            yield from _records({name: columns.describe(row, options.language)}, options.pictures or path.parent)
        else:
            yield Rejected(name=identity, reason="has no bytes in its column")


def _gather(rows: Iterable[Row], columns: Columns, options: SourceOptions) -> dict[str, Metadata]:
    """Put the rows of each picture together, by its path, in the order of first mention."""
    entries: dict[str, Metadata] = {}
    for row in rows:
        name = row.get(columns.picture)
        if not isinstance(name, str):
            name = "" if name is None else str(name)
        described = columns.describe(row, options.language)
        known = entries.setdefault(name.strip(), described)
        if known is not described:
            known.captions += described.captions
            known.tags += described.tags
    return entries


def _records(entries: dict[str, Metadata], root: Path) -> Items:
    for name, metadata in entries.items():
        try:
            yield Record(id=clean(name), picture=read_within(root, name), **metadata.for_record())
        except PictureError as error:
            yield Rejected(name=clean(name) or "(a row without a path)", reason=str(error))


def _json_row(line: str, place: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON ({error}); repair it") from None
    if not isinstance(row, dict):
        raise DataError(f"{place} is not a JSON object; write one object a line")
    return row
