"""A collection follows its pictures: what is new or changed is embedded, everything else is only moved or deleted."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from limner.search.annotations import MetadataTable
from limner.search.embedder import Embedder
from limner.search.reading import Reading, annotate, read_found
from limner.search.rows import described, measured, write_rows
from limner.search.scanning import Found, Source, is_gone
from limner.search.store import Table

__all__ = ["Keeper", "Progress", "Skipped", "SyncReport", "synchronize"]

_BATCH_SIZE = 64
_BATCHES_BETWEEN_COMPACTIONS = 64
_ID_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A picture that cannot be indexed, and why; it is tried again when it changes."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sync has come: `saved` of `total` pictures are done with and survive a kill."""

    saved: int
    total: int


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a sync did, in pictures; only those `added` or `changed` were embedded, `updated` ones got other texts."""

    num_pictures: int
    added: int
    changed: int
    renamed: int
    updated: int
    deleted: int
    unchanged: int
    skipped: tuple[Skipped, ...]

    @property
    def embedded(self) -> int:
        """The number of pictures that went through the model."""
        return self.added + self.changed


class Keeper(ABC):
    """What else keeps something of every picture, and shall not have to read it again."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """The side of the squares that it takes; asked for only if a picture is to be read."""

    @abstractmethod
    def keep(self, readings: Mapping[str, Reading]) -> None:
        """Keep what it needs of pictures just read, by id; their rows are in the table."""


def synchronize(
    table: Table,
    skipped: Table,
    embedder: Embedder,
    found: Sequence[Found],
    sources: Sequence[Source],
    *,
    metadata: MetadataTable | None = None,
    keepers: Sequence[Keeper] = (),
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Bring a table up to date with the pictures found, a durable batch at a time; deletions come last.

    A picture under a new name whose old file is gone keeps its row and vector. One that cannot be read is noted in
    `skipped` and tried again only when it changes.
    """
    sync = _Sync(table, skipped, embedder, metadata)
    sync.note_gone(found, sources)
    work = [picture for picture in found if not sync.is_settled(picture)]
    saved = len(found) - len(work)
    if work:
        sync.image_sizes |= {keeper.image_size for keeper in keepers}
    unchanged = sum(picture.path in sync.known for picture in found) - sum(p.path in sync.known for p in work)
    for number, readings in enumerate(sync.read_ahead(work), start=1):
        batch = sync.sort(readings)
        sync.write(batch)
        for keeper in keepers:
            keeper.keep(batch.embedded)
        saved += len(readings)
        if progress is not None:
            progress(Progress(saved=saved, total=len(found)))
        if number % _BATCHES_BETWEEN_COMPACTIONS == 0:
            table.compact()
    deleted = sync.delete_gone(sources)
    left = skipped.read(["id", "reason"]).to_pylist()
    return SyncReport(
        num_pictures=len(table),
        deleted=deleted,
        unchanged=unchanged,
        skipped=tuple(Skipped(path=row["id"], reason=row["reason"]) for row in sorted(left, key=lambda row: row["id"])),
        **sync.counts,
    )


class _Known(NamedTuple):
    id: str
    content: str
    size: int
    modified: int
    signature: str


@dataclass(kw_only=True)
class _Batch:
    """Rows to write at once, and pictures that cannot be."""

    added: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    renamed: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Reading] = field(default_factory=list)
    embedded: dict[str, Reading] = field(default_factory=dict)


class _Sync:
    """One run over one collection, and what it knows of it."""

    def __init__(self, table: Table, skipped: Table, embedder: Embedder, metadata: MetadataTable | None) -> None:
        self.table = table
        self.skipped = skipped
        self.embedder = embedder
        self.image_sizes = {embedder.image_size}
        self.metadata = metadata
        self.counts = {"added": 0, "changed": 0, "renamed": 0, "updated": 0}
        rows = table.read(["path", *_Known._fields])
        self.known = dict(
            zip(
                rows["path"].to_pylist(),
                map(_Known, *(rows[name].to_pylist() for name in _Known._fields)),
                strict=True,
            )
        )
        self.ids = {known.id for known in self.known.values()}
        tried = skipped.read(["id", "size", "modified"]).to_pylist()
        self.tried = {row["id"]: (row["size"], row["modified"]) for row in tried}
        self.present: set[str] = set()
        self.gone: dict[str, _Known] = {}
        self.gone_by_content: dict[str, list[str]] = {}
        self.mended: list[str] = []

    def note_gone(self, found: Sequence[Found], sources: Sequence[Source]) -> None:
        """Find the indexed pictures that are no longer where they were; a new picture may be one of them, renamed."""
        self.present = {picture.path for picture in found}
        for path, known in self.known.items():
            if path not in self.present and is_gone(path, sources):
                self.gone[path] = known
                self.gone_by_content.setdefault(known.content, []).append(path)

    def is_settled(self, found: Found) -> bool:
        """Whether a picture is as it was when it was indexed, or as unreadable as it was."""
        known = self.known.get(found.path)
        if known is None:
            return self.tried.get(found.path) == (found.size, found.modified)
        return known[2:] == (found.size, found.modified, self.signature(found))

    def signature(self, found: Found) -> str:
        """Return a text that changes when what is said of a picture does."""
        return found.signature + (self.metadata.signature(found.path) if self.metadata else "")

    def read_ahead(self, work: Sequence[Found]) -> Iterator[list[Reading]]:
        """Yield batches of readings; the next batch is read on other threads meanwhile."""
        starts = range(0, len(work), _BATCH_SIZE)
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            waiting: list[Any] = []
            for start in [*starts, len(work)]:
                coming = [pool.submit(self._read, found) for found in work[start : start + _BATCH_SIZE]]
                if waiting:
                    yield [future.result() for future in waiting]
                waiting = coming

    def _read(self, found: Found) -> Reading:
        known = self.known.get(found.path)
        if known is None:
            return read_found(found, self.gone_by_content, self.image_sizes)
        if (known.size, known.modified) == (found.size, found.modified):
            return Reading(found=found, content=known.content)
        return read_found(found, {known.content}, self.image_sizes)

    def sort(self, readings: Sequence[Reading]) -> _Batch:
        """Tell what each reading means for the collection, and embed what is new."""
        batch = _Batch()
        embedding: list[tuple[dict[str, Any], Reading]] = []
        for reading in readings:
            known = self.known.get(reading.found.path)
            renamed = self._take_gone(reading) if known is None else None
            if known is not None and known.content == reading.content:
                batch.updated.append(self._describe(known.id, reading))
                continue
            if renamed is not None:
                batch.renamed.append(self._describe(renamed.id, reading))
                continue
            if not reading.images and not reading.reason:
                reading = read_found(reading.found, (), self.image_sizes)
            if not reading.images:
                batch.skipped.append(reading)
                continue
            row = self._describe(known.id if known else self._fresh_id(reading), reading)
            (batch.changed if known else batch.added).append(row)
            batch.embedded[row["id"]] = reading
            embedding.append((row, reading))
        images = [reading.images[self.embedder.image_size] for _, reading in embedding]
        vectors = self.embedder.embed_pictures(images).astype(np.float16)
        for (row, reading), vector in zip(embedding, vectors, strict=True):
            row.update(measured(reading, vector))
        return batch

    def write(self, batch: _Batch) -> None:
        """Make a batch durable."""
        write_rows(self.table, batch.added, are_new=True)
        write_rows(self.table, batch.changed, are_new=False)
        write_rows(self.table, batch.renamed + batch.updated, are_new=False)
        for name in self.counts:
            rows = getattr(batch, name)
            self.counts[name] += len(rows)
            self.mended += [row["path"] for row in rows if row["path"] in self.tried]
        if batch.skipped:
            places = [reading.found for reading in batch.skipped]
            self.table.delete("path", [found.path for found in places if found.path in self.known])
            self.skipped.delete("id", [found.path for found in places])
            rows = [
                {"id": reading.found.path, "reason": reading.reason}
                | {"size": reading.found.size, "modified": reading.found.modified}
                for reading in batch.skipped
            ]
            write_rows(self.skipped, rows, are_new=True)

    def delete_gone(self, sources: Sequence[Source]) -> int:
        """Forget the pictures that are gone from the places looked at; return how many were indexed."""
        gone = [known.id for path, known in self.gone.items() if any(source.covers(path) for source in sources)]
        self.table.delete("id", gone)
        missing = [path for path in self.tried if path not in self.present and is_gone(path, sources)]
        self.skipped.delete("id", self.mended + missing)
        return len(gone)

    def _describe(self, id: str, reading: Reading) -> dict[str, Any]:
        found = reading.found
        said = annotate(found, self.metadata)
        return described(id, found, reading.content, self.signature(found), said)

    def _take_gone(self, reading: Reading) -> _Known | None:
        paths = self.gone_by_content.get(reading.content)
        return self.gone.pop(paths.pop()) if paths else None

    def _fresh_id(self, reading: Reading) -> str:
        wanted = reading.found.set_id or reading.content[:_ID_LENGTH]
        id, copies = wanted, 1
        while id in self.ids:
            copies += 1
            id = f"{wanted}-{copies}"
        self.ids.add(id)
        return id
