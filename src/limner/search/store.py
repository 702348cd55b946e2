"""A table of a collection on disk: a Lance dataset that a killed writer cannot tear and that LanceDB opens too."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa

from limner.errors import CollectionError, UsageError
from limner.search.filters import is_about_condition

__all__ = ["Table", "as_matrix", "quote"]

# The centres of an index's cells are told only if the environment asks for them.
os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "true")

_FULL_DISK = ("No space left on device", "File too large", "Disk quota exceeded")
_ROWS_PER_FRAGMENT = 1 << 16
_ROWS_AT_ONCE = 500
_CLOCK_TICK = 100_000_000

# A reader holds a version for one search at most, so older ones can go soon.
_VERSIONS_KEPT = timedelta(minutes=2)


class Table:
    """Rows in one folder; every change is a new version, committed at once or not at all."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path = path
        self.dataset = dataset
        self._seen = 0

    @classmethod
    def create(cls, path: Path, schema: pa.Schema) -> "Table":
        """Write an empty table."""
        with _explained(path):
            return cls(path, lance.write_dataset(schema.empty_table(), str(path), schema=schema))

    @classmethod
    def open(cls, path: Path) -> "Table":
        """Open the newest version.

        Raises:
            CollectionError: if there is no such table or it is damaged.
        """
        try:
            return cls(path, lance.dataset(str(path)))
        except (OSError, ValueError):
            raise CollectionError(
                f"{path} is missing or damaged; delete the folder {path.parent} and index the pictures again"
            ) from None

    def __len__(self) -> int:
        return int(self.dataset.count_rows())

    @property
    def version(self) -> int:
        """The number of the version that this object reads."""
        return int(self.dataset.version)

    def refresh(self) -> None:
        """Go on to the newest version, which another process may have written."""
        try:
            seen = (self.path / "_versions").stat().st_mtime_ns
        except OSError:
            seen = -1
        # The folder's time is the quick answer; it is read before the version, so that no change falls in between.
        if seen != self._seen:
            if seen < 0 or int(self.dataset.latest_version) != self.version:
                self.dataset = Table.open(self.path).dataset
            # Two changes within one tick of the clock would look like one.
            self._seen = seen if time.time_ns() - seen > _CLOCK_TICK else 0

    def column_types(self) -> dict[str, pa.DataType]:
        """Return the columns and their types."""
        return {field.name: field.type for field in self.dataset.schema}

    def check(self) -> None:
        """Make sure that every file of rows is there; what is in them is not read.

        Raises:
            CollectionError: naming one that is lost.
        """
        for fragment in self.dataset.get_fragments():
            for file in fragment.data_files():
                path = self.path / "data" / file.path
                if not path.is_file():
                    raise CollectionError(
                        f"{path} is missing; restore it, or delete the folder {self.path.parent} and "
                        "index the pictures again"
                    )

    def append(self, rows: pa.Table) -> None:
        """Add rows; columns that the rows lack stay null."""
        with _explained(self.path):
            self.dataset = lance.write_dataset(self._filled(rows), self.dataset, mode="append")

    def update(self, rows: pa.Table) -> None:
        """Replace the given columns of the rows with the same `id`."""
        with _explained(self.path):
            self.dataset.merge_insert("id").when_matched_update_all().execute(rows)

    def delete(self, column: str, values: Sequence[str]) -> None:
        """Delete the rows whose column holds one of the values."""
        with _explained(self.path):
            for start in range(0, len(values), _ROWS_AT_ONCE):
                chosen = ", ".join(map(quote, values[start : start + _ROWS_AT_ONCE]))
                self.dataset.delete(f"{column} IN ({chosen})")

    def add_columns(self, columns: Mapping[str, str]) -> None:
        """Add empty columns of SQL types, as in `{"year": "double"}`."""
        if columns:
            with _explained(self.path):
                self.dataset.add_columns({name: f"CAST(NULL AS {kind})" for name, kind in columns.items()})

    def read(self, columns: Sequence[str], *, where: str | None = None, with_row_id: bool = False) -> pa.Table:
        """Return columns of all rows, or of those that an SQL condition holds for."""
        with _explained(self.path):
            return self.dataset.to_table(columns=list(columns), filter=where, with_row_id=with_row_id)

    def take(self, positions: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return columns of the rows at positions (in the order of `read`)."""
        with _explained(self.path):
            return self.dataset.take([int(position) for position in positions], columns=list(columns))

    def read_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all vectors (float16, rows x embed_dim) and their row ids."""
        rows = self.read(["vector"], with_row_id=True)
        return as_matrix(rows["vector"]), rows["_rowid"].to_numpy()

    def compact(self) -> None:
        """Merge small files and delete what no version in use needs."""
        with _explained(self.path):
            self.dataset.optimize.compact_files(target_rows_per_fragment=_ROWS_PER_FRAGMENT, num_threads=1)
            self.dataset.cleanup_old_versions(older_than=_VERSIONS_KEPT)

    def _filled(self, rows: pa.Table) -> pa.Table:
        for field in self.dataset.schema:
            if field.name not in rows.column_names:
                rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        return rows.select(self.dataset.schema.names).cast(self.dataset.schema)


def as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of vectors as one array, rows x embed_dim."""
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], type=column.type)
    width = column.type.list_size
    flat = values.values.to_numpy(zero_copy_only=True)
    return flat[values.offset * width : (values.offset + len(values)) * width].reshape(-1, width)


def quote(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the engine says into errors that name a remedy."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        text = str(error)
        if isinstance(error, UsageError | CollectionError) or is_about_condition(error):
            raise
        if any(sign in text for sign in _FULL_DISK):
            raise CollectionError(
                f"the disk is full, {path} takes no more; free some space and run the same command again "
                "(what was reported as saved is kept)"
            ) from None
        reason = text.split(", /")[0].splitlines()[0]
        raise CollectionError(
            f"{path} cannot be read or written ({reason}); if running the command again does not help, "
            f"delete the folder {path.parent} and index the pictures again"
        ) from None
