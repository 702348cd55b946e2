"""A collection follows its pictures: what is new or changed is embedded, everything else is only moved or deleted."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from limner.search.annotations import Annotation, MetadataTable
from limner.search.embedder import Embedder
from limner.search.reading import Reading, annotate, read_found
from limner.search.scanning import SET_MARK, Found, Source
from limner.search.store import Table, as_matrix

__all__ = ["BASE_COLUMNS", "SKIPPED_SCHEMA", "Progress", "Skipped", "SyncReport", "schema_of", "synchronize"]

BATCH_SIZE = 64

_BATCHES_BETWEEN_COMPACTIONS = 64
_ID_LENGTH = 16

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
    [("path", pa.string()), ("size", pa.int64()), ("modified", pa.int64()), ("reason", pa.string())]
)


def schema_of(embed_dim: int) -> pa.Schema:
    """Return the schema of a table of pictures; columns of metadata are added as they come."""
    return pa.schema([*BASE_COLUMNS.items(), ("vector", pa.list_(pa.float16(), embed_dim))])


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A picture that cannot be indexed, and why; it is tried again when it changes."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sync has come: pictures looked at, of how many; those that are `saved` survive a kill."""

    done: int
    total: int
    saved: int


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a sync did, in pictures.

    `added`, `changed` and `restored` were embedded; `renamed`, `copied` and `updated` (their texts) were not.
    """

    num_pictures: int
    added: int = 0
    changed: int = 0
    renamed: int = 0
    copied: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    embedded: int = 0
    skipped: tuple[Skipped, ...] = ()


def synchronize(
    table: Table,
    skipped: Table,
    embedder: Embedder,
    found: Sequence[Found],
    sources: Sequence[Source],
    *,
    metadata: MetadataTable | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Bring a table up to date with the pictures found, a durable batch at a time; deletions come last."""
    return _Sync(table, skipped, embedder, metadata, progress).run(found, sources)


@dataclass
class _Counts:
    added: int = 0
    changed: int = 0
    renamed: int = 0
    copied: int = 0
    updated: int = 0
    unchanged: int = 0
    embedded: int = 0


@dataclass
class _Batch:
    """Rows to write in one step: new ones and changed ones with vectors, and others whose vectors stay."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)


class _Sync:
    def __init__(
        self,
        table: Table,
        skipped: Table,
        embedder: Embedder,
        metadata: MetadataTable | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.table = table
        self.skipped = skipped
        self.embedder = embedder
        self.metadata = metadata
        self.progress = progress
        self.counts = _Counts()
        rows = table.read(["id", "path", "content", "size", "modified", "signature"])
        self.known = {path: number for number, path in enumerate(rows["path"].to_pylist())}
        self.ids = rows["id"].to_pylist()
        self.used_ids = set(self.ids)
        self.contents = rows["content"].to_pylist()
        self.stats = list(zip(rows["size"].to_pylist(), rows["modified"].to_pylist(), strict=True))
        self.signatures = rows["signature"].to_pylist()
        self.by_content = {content: number for number, content in enumerate(self.contents)}
        self.gone: dict[str, int] = {}
        self.gone_by_content: dict[str, list[int]] = {}
        tried = skipped.read(SKIPPED_SCHEMA.names).to_pylist()
        self.tried = {row["path"]: row for row in tried}

    def run(self, found: Sequence[Found], sources: Sequence[Source]) -> SyncReport:
        self._find_gone({picture.path for picture in found})
        work = [picture for picture in found if not self._is_settled(picture)]
        saved = len(found) - len(work)
        batches = [work[start : start + BATCH_SIZE] for start in range(0, len(work), BATCH_SIZE)]
        self._report(saved, len(found), saved)
        for number, readings in enumerate(self._read_ahead(batches), start=1):
            self._write(self._sort(readings))
            saved += len(readings)
            self._report(saved, len(found), saved)
            if number % _BATCHES_BETWEEN_COMPACTIONS == 0:
                self.table.compact()
        deleted = self._delete(sources)
        remaining = self.skipped.read(["path", "reason"]).to_pylist()
        return SyncReport(
            num_pictures=len(self.table),
            deleted=deleted,
            skipped=tuple(Skipped(**row) for row in sorted(remaining, key=lambda row: str(row["path"]))),
            **vars(self.counts),
        )

    def _find_gone(self, paths: set[str]) -> None:
        for path, number in self.known.items():
            if path not in paths and (SET_MARK in path or not os.path.lexists(path)) and not Path(path).exists():
                self.gone[path] = number
                self.gone_by_content.setdefault(self.contents[number], []).append(number)

    def _is_settled(self, found: Found) -> bool:
        number = self.known.get(found.path)
        if number is not None:
            same = self.stats[number] == (found.size, found.modified)
            settled = same and self.signatures[number] == self._signature(found)
            self.counts.unchanged += settled
            return settled
        tried = self.tried.get(found.path)
        return tried is not None and (tried["size"], tried["modified"]) == (found.size, found.modified)

    def _signature(self, found: Found) -> str:
        return found.signature + (self.metadata.signature(found.path) if self.metadata else "")

    def _read_ahead(self, batches: Sequence[Sequence[Found]]) -> Iterator[list[Reading]]:
        """Read the next batch on other threads while the one before is embedded."""
        size = self.embedder.image_size

        def read(found: Found) -> Reading:
            number = self.known.get(found.path)
            if number is not None and self.stats[number] == (found.size, found.modified):
                return Reading(found=found, content=self.contents[number])
            return read_found(found, self.by_content, size)

        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            waiting = [pool.submit(read, found) for found in batches[0]] if batches else []
            for following in [*batches[1:], []]:
                coming = [pool.submit(read, found) for found in following]
                if waiting:
                    yield [future.result() for future in waiting]
                waiting = coming

    def _sort(self, readings: Iterable[Reading]) -> _Batch:
        batch = _Batch()
        embedding: list[tuple[list[dict[str, Any]], dict[str, Any], Reading]] = []
        copying: list[tuple[dict[str, Any], int]] = []
        for reading in readings:
            if reading.reason:
                found = reading.found
                batch.skipped.append(
                    {"path": found.path, "size": found.size, "modified": found.modified, "reason": reading.reason}
                )
                continue
            row = self._row(reading)
            number = self.known.get(reading.found.path)
            if number is not None and self.contents[number] == reading.content:
                self.counts.updated += 1
                batch.updated.append({**row, "id": self.ids[number]})
            elif reading.image is None and number is None and self.gone_by_content.get(reading.content):
                moved = self.gone_by_content[reading.content].pop()
                self.gone = {path: gone for path, gone in self.gone.items() if gone != moved}
                self.counts.renamed += 1
                batch.updated.append({**row, "id": self.ids[moved]})
            else:
                row["id"] = self.ids[number] if number is not None else self._new_id(reading)
                target = batch.new if number is None else batch.changed
                self.counts.changed += number is not None
                self.counts.added += number is None and reading.image is not None
                self.counts.copied += number is None and reading.image is None
                if reading.image is None:
                    copying.append((row, self.by_content[reading.content]))
                    target.append(row)
                else:
                    embedding.append((target, row, reading))
        self._embed(embedding)
        self._copy(copying)
        return batch

    def _embed(self, waiting: Sequence[tuple[list[dict[str, Any]], dict[str, Any], Reading]]) -> None:
        if not waiting:
            return
        images = [reading.image for _, _, reading in waiting if reading.image is not None]
        vectors = self.embedder.embed_pictures(images).astype(np.float16)
        self.counts.embedded += len(vectors)
        for (target, row, reading), vector in zip(waiting, vectors, strict=True):
            row |= {
                "vector": vector,
                "width": reading.width,
                "height": reading.height,
                "format": reading.format,
            }
            target.append(row)

    def _copy(self, waiting: Sequence[tuple[dict[str, Any], int]]) -> None:
        if not waiting:
            return
        numbers = sorted({number for _, number in waiting})
        where = ", ".join(f"'{self.ids[number].replace(chr(39), chr(39) * 2)}'" for number in numbers)
        rows = self.table.read(["id", "width", "height", "format", "vector"], where=f"id IN ({where})")
        vectors = dict(zip(rows["id"].to_pylist(), as_matrix(rows["vector"]), strict=True))
        others = {row["id"]: row for row in rows.drop_columns(["vector"]).to_pylist()}
        for row, number in waiting:
            id = self.ids[number]
            row |= {name: others[id][name] for name in ("width", "height", "format")} | {"vector": vectors[id]}
