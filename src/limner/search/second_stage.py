"""The second stage of a search: a re-ranker looks closely at the best hits, from what was kept of each picture.

A collection keeps the parts of its pictures for each of its re-rankers in a table of their own (half precision; eleven
parts of 192 numbers are 4.2 KB a picture), so that a search computes only the query's side and the pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from limner.data.decoding import read_picture
from limner.errors import CollectionError, ModelError
from limner.models.checkpoints import SHIPPED
from limner.nn.parts import Parts, whole
from limner.search.manifest import RerankerFacts
from limner.search.query import Query, Term, balanced
from limner.search.reading import Reading, read_found
from limner.search.reranker import Reranker, load_reranker
from limner.search.retrieve import Hit
from limner.search.scanning import Found
from limner.search.store import Table, as_matrix, quote
from limner.search.sync import Keeper, Progress

__all__ = ["KeptParts", "SecondStage", "facts_of", "load_checked"]

_BATCH_SIZE = 64
_SAMPLE = 64


class SecondStage(Keeper):
    """One re-ranker of a collection with what it keeps of the pictures; the model is loaded at its first use.

    With `is_new`, what it keeps is begun where there is nothing yet.
    """

    def __init__(
        self,
        collection: Path,
        kind: str,
        facts: RerankerFacts,
        *,
        reranker: Reranker | None = None,
        is_new: bool = False,
    ) -> None:
        self.collection = collection
        self.kind = kind
        self.facts = facts
        self._kept = KeptParts.open(collection, kind, facts, is_new=is_new)
        self._reranker = reranker

    @property
    def reranker(self) -> Reranker:
        """The model; a CollectionError if its weights are gone or are other ones now."""
        if self._reranker is None:
            self._reranker = load_checked(self.collection, self.facts)
        return self._reranker

    @property
    def image_size(self) -> int:
        """The side of the squares that the model takes."""
        return self.reranker.image_size

    @property
    def path(self) -> Path:
        """The folder of what is kept."""
        return self._kept.path

    def keep(self, readings: Mapping[str, Reading]) -> None:
        """Keep the parts of pictures just read, by id, in place of older ones, unless they are kept already."""
        contents = self._kept.contents()
        fresh = {id: each for id, each in readings.items() if contents.get(id) != each.content}
        if fresh:
            parts = self.reranker.picture_parts([each.images[self.image_size] for each in fresh.values()])
            self._kept.write({id: each.content for id, each in fresh.items()}, parts)

    def follow(
        self, pictures: Table, find: Callable[[], Sequence[Found]], progress: Callable[[Progress], None] | None
    ) -> None:
        """Keep the parts that are missing, a durable batch at a time, and forget those of pictures changed or gone.

        `find` looks for the pictures where they lie; it is not asked if no parts are missing.
        """
        rows = pictures.read(["id", "path", "content"])
        indexed = dict(zip(rows["id"].to_pylist(), rows["content"].to_pylist(), strict=True))
        ids = dict(zip(rows["path"].to_pylist(), rows["id"].to_pylist(), strict=True))
        contents = self._kept.contents()
        self._kept.forget([id for id, content in contents.items() if indexed.get(id) != content])
        missing = indexed.keys() - self._kept.contents().keys()
        work = [each for each in find() if ids.get(each.path) in missing] if missing else []
        done = len(indexed) - len(work)
        for batch in _batches(iter(work)):
            readings = {ids[each.path]: read_found(each, (), (self.image_size,)) for each in batch}
            self.keep({id: each for id, each in readings.items() if each.images and each.content == indexed[id]})
            done += len(batch)
            if progress is not None:
                progress(Progress(saved=done, total=len(indexed)))
        self._kept.compact()

    def check(self) -> None:
        """Raise a CollectionError if a file of what is kept is lost."""
        self._kept.check()

    def read(self, query: Query) -> list[Parts]:
        """Return what the model makes of each term of a query.

        Raises:
            UsageError: for words, if the model compares pictures only.
            PictureError: for a picture that cannot be read.
        """
        return [self._read(term) for term in query.terms]

    def rerank(self, asked: Sequence[Parts], weights: Sequence[float], hits: Sequence[Hit]) -> list[Hit]:
        """Return hits ordered by the re-ranker's score, equal ones as before; each keeps its `first_score`.

        A mixture scores the weighted sum of its terms' scores, each divided by their spread over the collection, as in
        the first stage.
        """
        if not hits:
            return []
        reranker = self.reranker
        documents = self._kept.read([hit.id for hit in hits])
        scores = np.concatenate([reranker.scores(each, documents) for each in asked])
        if len(asked) > 1:
            sample = self._kept.sample()
            spreads = np.concatenate([reranker.scores(each, sample) for each in asked]).std(axis=1)
            total = balanced(weights, spreads) @ scores
        else:
            total = scores[0] * np.sign(weights[0])
        order = np.argsort(-total, kind="stable")
        return [
            replace(hits[place], rank=rank, score=round(float(total[place]), 6), first_score=hits[place].score)
            for rank, place in enumerate(order, start=1)
        ]

    def _read(self, term: Term) -> Parts:
        if term.picture is None:
            return self.reranker.text_parts([term.words.strip()])
        picture = read_picture(term.picture) if isinstance(term.picture, Path) else term.picture
        return self.reranker.picture_parts([picture])


class KeptParts:
    """The table of the parts of a collection's pictures for one re-ranker: id, content, and the numbers."""

    def __init__(self, table: Table, facts: RerankerFacts) -> None:
        self._table = table
        self._facts = facts
        self._contents: Mapping[str, str] | None = None

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

    def contents(self) -> Mapping[str, str]:
        """Return the content of each picture whose parts are kept, by its id."""
        if self._contents is None:
            rows = self._table.read(["id", "content"])
            self._contents = dict(zip(rows["id"].to_pylist(), rows["content"].to_pylist(), strict=True))
        return self._contents

    def write(self, contents: Mapping[str, str], parts: Parts) -> None:
        """Keep the parts of pictures in place of older ones of theirs."""
        self.forget([id for id in contents if id in self.contents()])
        kind = self._table.column_types()["parts"]
        flat = pa.array(parts.vectors.half().numpy().reshape(-1))
        self._table.append(
            pa.table(
                {
                    "id": list(contents),
                    "content": list(contents.values()),
                    "parts": pa.FixedSizeListArray.from_arrays(flat, type=kind),
                }
            )
        )
        self._contents = {**self.contents(), **contents}

    def forget(self, ids: Sequence[str]) -> None:
        """Delete what is kept of pictures."""
        self._table.delete("id", ids)
        self._contents = {id: content for id, content in self.contents().items() if id not in set(ids)}

    def compact(self) -> None:
        """Merge small files."""
        self._table.compact()

    def check(self) -> None:
        """Raise a CollectionError if a file is lost."""
        self._table.refresh()
        self._table.check()

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
        return self._as_parts(as_matrix(rows["parts"])[[places[id] for id in ids]])

    def sample(self) -> Parts:
        """Return the parts of up to 64 pictures that stand for all."""
        count = len(self._table)
        chosen = np.random.default_rng(0).choice(count, min(count, _SAMPLE), replace=False)
        return self._as_parts(as_matrix(self._table.take(sorted(chosen.tolist()), ["parts"])["parts"]))

    def _as_parts(self, matrix: np.ndarray) -> Parts:
        numbers = torch.from_numpy(matrix.astype(np.float32))
        return whole(numbers.view(len(matrix), self._facts.num_parts, self._facts.part_dim))


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
