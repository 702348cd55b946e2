"""The columns of a collection, and the rows that pictures become."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from limner.search.annotations import Annotation
from limner.search.reading import Reading
from limner.search.scanning import Found
from limner.search.store import Table

__all__ = ["BASE_COLUMNS", "SKIPPED_SCHEMA", "described", "measured", "schema_of", "write_rows"]

BASE_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "path": pa.string(),
    "folder": pa.string(),
    "content": pa.string(),
    "size": pa.int64(),
    "modified": pa.int64(),
    "signature": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "format": pa.string(),
    "caption": pa.string(),
    "captions": pa.list_(pa.string()),
    "language": pa.string(),
    "tags": pa.list_(pa.string()),
}
SKIPPED_SCHEMA = pa.schema(
    [("id", pa.string()), ("size", pa.int64()), ("modified", pa.int64()), ("reason", pa.string())]
)
_PREFERRED = {"en": 0, "": 1}
_MEASURED = frozenset({"width", "height", "format", "vector"})


def schema_of(embed_dim: int) -> pa.Schema:
    """Return the columns of a new table of pictures; columns of metadata are added as they come."""
    return pa.schema([*BASE_COLUMNS.items(), ("vector", pa.list_(pa.float16(), embed_dim))])


def described(id: str, found: Found, content: str, signature: str, said: Annotation) -> dict[str, Any]:
    """Return what a row says of a picture's place and texts; `caption` is in English or of no language if it can be."""
    first = min(said.captions, key=lambda caption: _PREFERRED.get(caption.language, len(_PREFERRED)), default=None)
    values = {name: value for name, value in said.values.items() if name not in BASE_COLUMNS and name != "vector"}
    return {
        **values,
        "id": id,
        "path": found.path,
        "folder": found.path[: -len(found.set_id) - 1] if found.set_id else str(Path(found.path).parent),
        "content": content,
        "size": found.size,
        "modified": found.modified,
        "signature": signature,
        "caption": first.text if first else None,
        "captions": [caption.text for caption in said.captions],
        "language": first.language if first else None,
        "tags": list(said.tags),
    }


def measured(reading: Reading, vector: np.ndarray) -> dict[str, Any]:
    """Return what a row says of a picture's pixels."""
    return {"width": reading.width, "height": reading.height, "format": reading.format, "vector": vector}


def write_rows(table: Table, rows: Sequence[Mapping[str, Any]], *, are_new: bool) -> None:
    """Append new rows, or update those with the same ids (rows without vectors keep the ones that they have)."""
    if not rows:
        return
    _add_columns(table, rows)
    types = table.column_types()
    if "vector" not in rows[0]:
        types = {name: kind for name, kind in types.items() if name not in _MEASURED}
    columns = {name: _array([row.get(name) for row in rows], kind) for name, kind in types.items()}
    (table.append if are_new else table.update)(pa.table(columns))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = np.concatenate([np.asarray(value, dtype=np.float16) for value in values])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    if pa.types.is_string(kind):
        values = [f"{value:g}" if isinstance(value, float) else value for value in values]
    elif pa.types.is_floating(kind):
        values = [value if isinstance(value, float) else None for value in values]
    return pa.array(values, type=kind)


def _add_columns(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the columns of metadata that the rows bring: of numbers where all of them are, else of text."""
    known = table.column_types()
    brought: dict[str, list[Any]] = {}
    for row in rows:
        for name in row.keys() - known.keys() - {"vector"}:
            brought.setdefault(name, []).append(row[name])
    table.add_columns(
        {
            name: "double" if all(isinstance(value, float) for value in values) else "string"
            for name, values in sorted(brought.items())
        }
    )
