"""The rows nearest to a vector: exact in memory, or by cells of neighbours, in memory or on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from lance.dataset import VectorIndexReader

from limner.search.embedder import Embedder
from limner.search.filters import checked_condition, named_columns
from limner.search.manifest import IndexFacts
from limner.search.resident import Resident, train_centroids
from limner.search.store import Table, as_matrix

__all__ = [
    "HIDDEN_COLUMNS",
    "INDEX_ABOVE",
    "RESIDENT_BYTES",
    "Hit",
    "Retriever",
    "build_index",
    "index_is_due",
    "load_resident",
    "measure_index",
    "renew_index",
]

INDEX_ABOVE = 50_000
RESIDENT_BYTES = 2 << 30

# From this many searches on, reading all vectors once is cheaper than asking the disk each time.
_SEARCHES_FROM_DISK = 4
_SAMPLE = 1024
_MEASURED_QUERIES = 128
_STALE_SHARE = 0.1
# Cells are looked at until nearly all of the true ten best lie there; what the disk's index leaves out is then little.
_GOOD_RECALL = 0.98
_GOOD_RECALL_ON_DISK = 0.975
_LEAST_PROBES = 8
_INDEX = "vector_idx"
_ANSWERS = ("id", "path", "caption")
HIDDEN_COLUMNS = frozenset({"vector", "signature"})


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A picture found: `score` is its cosine with the query, `caption` one that it has, in English if it can be.

    After re-ranking `score` is the re-ranker's and `first_score` the cosine. `relevance` is the probability that the
    picture answers the query, where a calibration says.
    """

    rank: int
    id: str
    path: str
    score: float
    caption: str
    first_score: float | None = None
    relevance: float | None = None


class Retriever:
    """Finds rows of one table, which other processes may be writing meanwhile.

    A table of up to `INDEX_ABOVE` rows is searched exactly, in memory. A larger one is searched by its index, on disk
    at first, and in memory (up to `RESIDENT_BYTES` of vectors) once several searches have come or `load` was called.
    With a condition, a search in memory is exact.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._version = -1
        self._rows = 0
        self._columns: frozenset[str] = frozenset()
        self._resident: Resident | None = None
        self._answers: pa.Table | None = None
        self._sample: np.ndarray | None = None
        self._searches = 0

    def search(self, query: np.ndarray, top: int, where: str | None, index: IndexFacts | None) -> list[Hit]:
        """Return the best rows, best first.

        Raises:
            UsageError: for a condition that is none, or that names an unknown column.
        """
        self._follow()
        if where is not None:
            where = checked_condition(where, self._columns)
        if not self._rows:
            return []
        self._searches += 1
        if self._resident is None and self._is_for_memory(index):
            self.load()
        with named_columns(self._columns):
            if self._resident is None and index is not None:
                return self._on_disk(query, top, where, index)
            return self._in_memory(query, top, where, index)

    def load(self) -> None:
        """Read all vectors, and what hits tell, into memory."""
        self._follow()
        self._resident = load_resident(self._table)
        self._answers = self._table.read(_ANSWERS).combine_chunks()

    def sample(self) -> np.ndarray:
        """Return up to 1,024 vectors that stand for all."""
        self._follow()
        if self._sample is None:
            chosen = np.random.default_rng(0).choice(self._rows, min(self._rows, _SAMPLE), replace=False)
            self._sample = as_matrix(self._table.take(sorted(chosen.tolist()), ["vector"])["vector"])
        return self._sample

    def _follow(self) -> None:
        self._table.refresh()
        if self._table.version != self._version:
            self._version = self._table.version
            self._rows = len(self._table)
            self._columns = frozenset(self._table.column_types()) - HIDDEN_COLUMNS
            self._resident = self._answers = self._sample = None

    def _is_for_memory(self, index: IndexFacts | None) -> bool:
        if index is None or self._rows <= INDEX_ABOVE:
            return True
        num_bytes = self._rows * self._table.column_types()["vector"].list_size * 2
        return self._searches > _SEARCHES_FROM_DISK and num_bytes <= RESIDENT_BYTES

    def _in_memory(self, query: np.ndarray, top: int, where: str | None, index: IndexFacts | None) -> list[Hit]:
        if self._resident is None or self._answers is None:
            self.load()
        assert self._resident is not None and self._answers is not None
        chosen = None
        if where is not None:
            chosen = self._table.read([], where=where, with_row_id=True)["_rowid"].to_numpy()
            if not len(chosen):
                return []
        probes = index.probes if index is not None and self._rows > INDEX_ABOVE else None
        positions, scores = self._resident.search(query, top, probes=probes, row_ids=chosen)
        return _hits(self._answers.take(pa.array(positions)), scores)

    def _on_disk(self, query: np.ndarray, top: int, where: str | None, index: IndexFacts) -> list[Hit]:
        probes = index.probes
        if where is not None:
            chosen = int(self._table.dataset.count_rows(filter=where))
            if chosen <= INDEX_ABOVE:
                return self._among(query, top, where)
            probes = probes * self._rows // chosen
        rows = _nearest(self._table, query, top, probes, index.refine, columns=_ANSWERS, where=where)
        return _hits(rows, 1 - rows["_distance"].to_numpy())

    def _among(self, query: np.ndarray, top: int, where: str) -> list[Hit]:
        """Score the rows that fulfil a condition exactly, without reading any other."""
        rows = self._table.read([*_ANSWERS, "vector"], where=where)
        if not len(rows):
            return []
        scores = as_matrix(rows["vector"]).astype(np.float32) @ query
        best = np.lexsort((np.arange(len(scores)), -scores))[:top]
        return _hits(rows.take(pa.array(best)), scores[best])


def index_is_due(table: Table) -> bool:
    """Whether the table is large, and has no index or many rows that are not in it."""
    rows = len(table)
    if rows <= INDEX_ABOVE:
        return False
    indexed = sum(index.num_rows_indexed for index in table.dataset.describe_indices() if index.name == _INDEX)
    return bool(rows - min(indexed, rows) > _STALE_SHARE * rows)


def build_index(table: Table) -> None:
    """Build the approximate index: about as many cells as a cell has rows, one bit a dimension, refined by float16."""
    vectors, _ = table.read_vectors()
    centroids = train_centroids(vectors, max(round(len(vectors) ** 0.5), 1))
    table.dataset = table.dataset.create_index(
        "vector",
        "IVF_RQ" if vectors.shape[1] % 8 == 0 else "IVF_FLAT",
        name=_INDEX,
        metric="dot",
        num_partitions=len(centroids),
        ivf_centroids=centroids,
        replace=True,
    )


def measure_index(table: Table, queries: np.ndarray, kind: str) -> IndexFacts:
    """Find how many cells to look at for nearly all of the true ten best, and measure the share that is found."""
    resident = load_resident(table)
    row_ids = np.empty_like(resident.row_ids)
    row_ids[resident.positions] = resident.row_ids
    best = np.stack([resident.search(query, 10)[0] for query in queries])
    probes = max(_LEAST_PROBES, resident.probes_for(queries, best, _GOOD_RECALL))
    truth = [set(row_ids[row]) for row in best]
    near = _recall(truth, [set(row_ids[resident.search(query, 10, probes=probes)[0]]) for query in queries])
    refine, far = 5, 0.0
    while far < _GOOD_RECALL_ON_DISK and refine < 80:
        refine *= 2
        found = (_nearest(table, query, 10, probes, refine, columns=()) for query in queries)
        far = _recall(truth, [set(rows["_rowid"].to_numpy()) for rows in found])
    return IndexFacts(
        probes=probes,
        refine=refine,
        recall_on_disk=round(far, 4),
        recall_in_memory=round(near, 4),
        num_queries=len(queries),
        queries=kind,
        num_rows=len(table),
    )


def _recall(truth: Sequence[set[Any]], found: Sequence[set[Any]]) -> float:
    return float(np.mean([len(a & b) / len(a) for a, b in zip(truth, found, strict=True)]))


def renew_index(table: Table, retriever: Retriever, embedder: Embedder) -> IndexFacts:
    """Build the index and measure it with captions; with pictures where these are few, or no words are read."""
    build_index(table)
    captions = table.read(["caption"], where="caption IS NOT NULL")["caption"].to_pylist()
    if not embedder.reads_texts or len(captions) < _MEASURED_QUERIES:
        return measure_index(table, retriever.sample()[:_MEASURED_QUERIES].astype(np.float32), "pictures")
    chosen = np.random.default_rng(0).choice(len(captions), _MEASURED_QUERIES, replace=False)
    return measure_index(table, embedder.embed_texts([captions[number] for number in chosen]), "captions")


def load_resident(table: Table) -> Resident:
    """Read all vectors into memory, in the cells of the table's index if it has one."""
    vectors, row_ids = table.read_vectors()
    cells = np.full(len(vectors), -1, dtype=np.int64)
    if not any(index.name == _INDEX for index in table.dataset.describe_indices()):
        return Resident.build(vectors, row_ids, np.zeros((0, vectors.shape[1]), np.float32), cells)
    reader = VectorIndexReader(table.dataset, _INDEX)
    centroids = np.array(reader.stats["indices"][0]["centroids"], dtype=np.float32)
    order = np.argsort(row_ids)
    for cell in range(reader.num_partitions()):
        members = reader.read_partition(cell)["_rowid"].to_numpy()
        places = np.minimum(np.searchsorted(row_ids, members, sorter=order), len(order) - 1)
        rows = order[places]
        cells[rows[row_ids[rows] == members]] = cell
    return Resident.build(vectors, row_ids, centroids, cells)


def _nearest(
    table: Table,
    query: np.ndarray,
    top: int,
    probes: int,
    refine: int,
    *,
    columns: Sequence[str],
    where: str | None = None,
) -> pa.Table:
    nearest = {"column": "vector", "q": query, "k": top, "nprobes": probes, "refine_factor": refine, "metric": "dot"}
    return table.dataset.to_table(
        columns=[*columns, "_distance"],
        nearest=nearest,
        filter=where,
        prefilter=True,
        with_row_id=True,
    )


def _hits(rows: pa.Table, scores: np.ndarray) -> list[Hit]:
    ids, paths, captions = (rows[name].to_pylist() for name in _ANSWERS)
    return [
        Hit(rank=rank, id=id, path=path, score=round(float(score), 6), caption=caption or "")
        for rank, (id, path, caption, score) in enumerate(zip(ids, paths, captions, scores, strict=True), start=1)
    ]
