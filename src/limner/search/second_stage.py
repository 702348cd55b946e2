"""The second stage of a search: a re-ranker looks closely at the best hits, from what was kept of each picture.

A collection keeps the parts of its pictures for each of its re-rankers in a table of their own (half precision; eleven
parts of 192 numbers are 4.2 KB a picture), so that a search computes only the query's side and the pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from limner.data.decoding import read_picture
from limner.errors import CollectionError, ModelError, UsageError
from limner.models.checkpoints import SHIPPED
from limner.nn.parts import Parts, whole
from limner.search.manifest import RerankerFacts
from limner.search.query import Query
from limner.search.reading import Reading, read_found
from limner.search.reranker import Reranker, load_reranker
from limner.search.retrieve import Hit
from limner.search.scanning import Found
from limner.search.store import Table, as_matrix, quote
from limner.search.sync import Progress

__all__ = ["KeptParts", "SecondStage", "facts_of", "load_checked"]

_BATCH_SIZE = 64


class SecondStage:
    """One re-ranker of a collection with what it keeps of the pictures; the model is loaded at its first use."""

    def __init__(self, collection: Path, kind: str, facts: RerankerFacts) -> None:
        self.collection = collection
        self.facts = facts
        self._kept = KeptParts.open(collection, kind, facts)
        self._reranker: Reranker | None = None

    @property
    def reranker(self) -> Reranker:
        """The model; a CollectionError if its weights are gone or are other ones now."""
        if self._reranker is None:
            self._reranker = load_checked(self.collection, self.facts)
        return self._reranker

    def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """Return hits ordered by the re-ranker's score, equal ones as before; each keeps its `first_score`.

        Raises:
            UsageError: for a mixture of words and pictures.
        """
        if len(query.terms) != 1 or query.terms[0].weight <= 0:
            raise UsageError("re-ranking takes one text or one picture; leave out --plus, --minus, or --rerank")
        if not hits:
            return []
        term, reranker = query.terms[0], self.reranker
        if term.picture is None:
            asked = reranker.text_parts([term.words.strip()])
        else:
            picture = read_picture(term.picture) if isinstance(term.picture, Path) else term.picture
            asked = reranker.picture_parts([picture])
        scores = reranker.scores(asked, self._kept.read([hit.id for hit in hits]))[0]
        order = np.argsort(-scores, kind="stable")
        return [
            replace(hits[place], rank=rank, score=round(float(scores[place]), 6), first_score=hits[place].score)
            for rank, place in enumerate(order, start=1)
        ]


class KeptParts:
    """The table of the parts of a collection's pictures for one re-ranker: id, content, and the numbers."""

    def __init__(self, table: Table, facts: RerankerFacts) -> None:
        self._table = table
        self._facts = facts

    @classmethod
    def open(cls, collection: Path, kind: str, facts: RerankerFacts, *, is_new: bool = False) -> "KeptParts":
        """Open the table; with `is_new`, an empty one is made where there is none."""
        path = collection / f"parts-{kind}-{facts.fingerprint[:8]}.lance"
        if path.exists() or not is_new:
            return cls(Table.open(path), facts)
        width = facts.num_parts * facts.part_dim
        columns = [("id", pa.string()), ("content", pa.string()), ("parts", pa.list_(pa.float16(), width))]
        return cls(Table.create(path, pa.schema(columns)), facts)

    @property
    def path(self) -> Path:
        """The table's folder."""
        return self._table.path

    def follow(
        self,
        pictures: Table,
        find: Callable[[], Sequence[Found]],
        reranker: Reranker,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        """Keep the parts of pictures that are new or changed, a durable batch at a time, and forget those gone.

        `find` looks for the pictures where they lie; it is not asked if no parts are missing.
        """
        rows = pictures.read(["id", "path", "content"])
        indexed = dict(zip(rows["id"].to_pylist(), rows["content"].to_pylist(), strict=True))
        ids = dict(zip(rows["path"].to_pylist(), rows["id"].to_pylist(), strict=True))
        kept = self._table.read(["id", "content"])
        known = dict(zip(kept["id"].to_pylist(), kept["content"].to_pylist(), strict=True))
        stale = [id for id, content in known.items() if indexed.get(id) != content]
        self._table.delete("id", stale)
        missing = indexed.keys() - (known.keys() - set(stale))
        work = [each for each in find() if ids.get(each.path) in missing] if missing else []
        done = len(indexed) - len(work)
        for batch in _batches(iter(work)):
            readings = [read_found(each, (), reranker.image_size) for each in batch]
            usable = [each for each in readings if each.image and each.content == indexed[ids[each.found.path]]]
            self._write([ids[each.found.path] for each in usable], usable, reranker)
            done += len(batch)
            if progress is not None:
                progress(Progress(saved=done, total=len(indexed)))
        self._table.compact()

    def read(self, ids: Sequence[str]) -> Parts:
        """Return the parts of pictures, in order.

        Raises:
            CollectionError: if those of one are not kept.
        """
        self._table.refresh()
        rows = self._table.read(["id", "parts"], where=f"id IN ({', '.join(map(quote, ids))})")
        places = {id: place for place, id in enumerate(rows["id"].to_pylist())}
        if any(id not in places for id in ids):
            collection = self.path.parent
            raise CollectionError(
                f"{collection} does not keep what its re-ranker needs of every picture; "
                f"run `limner index --to {collection}` once more"
            )
        matrix = as_matrix(rows["parts"])[[places[id] for id in ids]].astype(np.float32)
        return whole(torch.from_numpy(matrix).view(len(ids), self._facts.num_parts, self._facts.part_dim))

    def _write(self, ids: Sequence[str], readings: Sequence[Reading], reranker: Reranker) -> None:
        if not ids:
            return
        parts = reranker.picture_parts([each.image for each in readings if each.image is not None])
        kind = self._table.column_types()["parts"]
        flat = pa.array(parts.vectors.half().numpy().reshape(-1))
        self._table.append(
            pa.table(
                {
                    "id": list(ids),
                    "content": [each.content for each in readings],
                    "parts": pa.FixedSizeListArray.from_arrays(flat, type=kind),
                }
            )
        )


def facts_of(reranker: Reranker) -> RerankerFacts:
    """Return what a collection says of a re-ranker; a picture shows how many parts it keeps."""
    shape = reranker.model.picture_parts(torch.ones(1, 3, reranker.image_size, reranker.image_size)).vectors.shape
    name = reranker.name if reranker.name in SHIPPED else str(Path(reranker.name).resolve())
    return RerankerFacts(model=name, fingerprint=reranker.fingerprint, num_parts=shape[1], part_dim=shape[2])


def load_checked(collection: Path, facts: RerankerFacts) -> Reranker:
    """Return the re-ranker that a collection was made ready for.

    Raises:
        CollectionError: if its weights are gone or are other ones now.
    """
    again = f"give one to `limner index --to {collection} --reranker MODEL`"
    try:
        reranker = load_reranker(facts.model)
    except ModelError as error:
        raise CollectionError(f"the re-ranker of {collection} is gone ({error}); restore it, or {again}") from None
    if reranker.fingerprint != facts.fingerprint:
        raise CollectionError(f"the re-ranker {facts.model} has other weights now than for {collection}; {again}")
    return reranker


def _batches(work: Iterator[Found]) -> Iterator[list[Found]]:
    while batch := list(islice(work, _BATCH_SIZE)):
        yield batch
