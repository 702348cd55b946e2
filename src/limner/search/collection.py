"""A collection: a folder that holds the embeddings of pictures and what is said of them, and finds the nearest."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image

from limner.config import to_dict
from limner.errors import CollectionError, ModelError, UsageError
from limner.models.checkpoints import SHIPPED
from limner.search.annotations import MetadataTable
from limner.search.embedder import Embedder, Vectors, load_embedder
from limner.search.itself import ids_of_itself, without
from limner.search.manifest import Manifest, is_collection, manifest_version, read_manifest, write_manifest
from limner.search.query import Query, Term, embed_terms, mix
from limner.search.relevance import judge_hits
from limner.search.reranker import Reranker
from limner.search.retrieve import HIDDEN_COLUMNS, Hit, Retriever, index_is_due, renew_index
from limner.search.rows import SKIPPED_SCHEMA, schema_of
from limner.search.scanning import Source, find_pictures, find_sources
from limner.search.second_stage import SecondStage, facts_of
from limner.search.store import Table, as_matrix
from limner.search.sync import Progress, SyncReport, synchronize

__all__ = ["Collection"]

_LOCK = ".lock"


class Collection:
    """Pictures that can be found by words, by pictures and by mixtures of both.

    Any number of processes may read a collection while one writes it.
    """

    def __init__(self, path: Path, embedder: Embedder | None = None) -> None:
        self.path = path
        self._embedder = embedder
        self._load()
        if embedder is not None:
            self._check(embedder)

    @classmethod
    def create(cls, path: str | Path, embedder: Embedder) -> "Collection":
        """Make an empty collection for the embeddings of one model.

        Raises:
            CollectionError: if there is something at `path` already.
        """
        path = Path(path).expanduser().resolve()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            kind = "already holds a collection" if is_collection(path) else "is not empty, and not a collection"
            raise CollectionError(f"{path} {kind}; name a new folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest = _manifest_of(embedder)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            draft.chmod(0o755)
            Table.create(draft / manifest.pictures_folder, schema_of(embedder.embed_dim))
            Table.create(draft / manifest.skipped_folder, SKIPPED_SCHEMA)
            write_manifest(draft, manifest)
            draft.rename(path)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and is_collection(path):  # another process was first
                raise CollectionError(f"{path} already holds a collection; name a new folder") from None
            raise
        return cls(path, embedder)

    @classmethod
    def open(cls, path: str | Path, embedder: Embedder | None = None) -> "Collection":
        """Open a collection; its own model is loaded when it is first needed.

        Raises:
            CollectionError: if there is none, it is damaged, or `embedder` is not the model it was made with.
        """
        return cls(Path(path).expanduser().resolve(), embedder)

    def __len__(self) -> int:
        self._refresh()
        self._table.refresh()
        return len(self._table)

    @property
    def embedder(self) -> Embedder:
        """The model that the collection was made with.

        Raises:
            CollectionError: if its weights are gone or are other ones now.
        """
        if self._embedder is None:
            try:
                embedder = load_embedder(self.manifest.model)
            except ModelError as error:
                raise CollectionError(
                    f"the model of {self.path} is gone ({error}); restore it, "
                    "or index the pictures again with `--model` and `--reindex`"
                ) from None
            self._check(embedder)
            self._embedder = embedder
        return self._embedder

    def sync(
        self,
        pictures: str | Path | Sequence[str | Path] = (),
        *,
        metadata: str | Path | None = None,
        rerankers: Sequence[Reranker] = (),
        progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Follow files, folders, patterns and picture sets: embed what is new or changed, forget what is gone.

        Without `pictures`, the places named before are looked at again. `metadata` is a CSV file with a column `path`.
        What `rerankers` need of each picture is kept from now on; one of a kind takes the place of the former.

        Raises:
            DataError: if a place does not exist or has no pictures.
            CollectionError: if another process is writing the collection, or the disk is full.
        """
        with self._writing():
            sources = self._sources(pictures)
            said = self._metadata(metadata)
            found = find_pictures(sources)
            self._write_manifest(replace(self.manifest, sources=_joined(self.manifest.sources, sources)))
            seconds = self._keepers(rerankers)
            report = synchronize(
                self._table,
                self._skipped,
                self.embedder,
                found,
                sources,
                metadata=said,
                keepers=seconds,
                progress=progress,
            )
            self._tidy()
            self._keep_parts(seconds, progress)
        return report

    def reindex(
        self,
        embedder: Embedder,
        pictures: str | Path | Sequence[str | Path] = (),
        *,
        metadata: str | Path | None = None,
        rerankers: Sequence[Reranker] = (),
        progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Embed all pictures anew, with another model; searches see the old embeddings until all is done.

        Raises:
            DataError: if a place does not exist or has no pictures.
            CollectionError: if another process is writing the collection, or the disk is full.
        """
        with self._writing():
            places = _joined(self.manifest.sources, self._sources(pictures))
            sources = tuple(Source(place=place) for place in places)
            said = self._metadata(metadata)
            found = find_pictures(sources)
            seconds = self._keepers(rerankers)
            old = self.manifest
            manifest = replace(
                _manifest_of(embedder),
                table=f"pictures-{uuid4().hex[:8]}",
                metadata=old.metadata,
                sources=places,
                rerankers=old.rerankers,
            )
            self._remove_tables(keep=old)
            table = Table.create(self.path / manifest.pictures_folder, schema_of(embedder.embed_dim))
            skipped = Table.create(self.path / manifest.skipped_folder, SKIPPED_SCHEMA)
            report = synchronize(
                table, skipped, embedder, found, sources, metadata=said, keepers=seconds, progress=progress
            )
            self._embedder = embedder
            self._write_manifest(manifest)
            self._load()
            self._remove_tables(keep=manifest)
            self._tidy()
            self._keep_parts(seconds, progress)
        return report

    def search(
        self,
        query: str | Path | Image.Image | Query,
        top: int = 10,
        where: str | None = None,
        *,
        rerank: str | None = None,
        depth: int = 50,
        min_relevance: float | None = None,
        exclude_itself: bool = False,
    ) -> list[Hit]:
        """Return the best pictures for words, for a picture (a path or an image) or for a mixture, best first.

        `where` is an SQL condition on the columns, such as `"width > 100 AND caption LIKE '%fox%'"`. `rerank` is the
        kind of a re-ranker that the collection was made ready for, such as "cross"; it orders the best `depth` anew.
        Hits of a calibrated model carry their relevance; with `min_relevance` less likely ones are left out, all if
        nothing matches. With `exclude_itself` so are pictures whose files are those asked with.

        Raises:
            UsageError: for an empty query, a condition that is none or names an unknown column, an image to exclude, or
                words for a re-ranker that compares pictures only.
            PictureError: for a picture of the query that cannot be read.
            CollectionError: if there is no such re-ranker.
            ModelError: if a relevance is asked for and the model is not calibrated.
        """
        if not isinstance(query, Query):
            query = Query(terms=(Term(words=query) if isinstance(query, str) else Term(picture=query),))
        self._refresh()
        second = self._second_stage(rerank) if rerank is not None else None
        vectors = embed_terms(query.terms, self.embedder)
        weights = [term.weight for term in query.terms]
        sample = self._retriever.sample() if len(weights) > 1 and len(self) else vectors
        vector = mix(vectors, weights, sample)
        itself = ids_of_itself(query, self._table) if exclude_itself else frozenset()
        wanted = max(top, depth) if second else top
        hits = without(self.search_vector(vector, wanted + len(itself), where), itself, wanted)
        if second is None:
            return judge_hits(hits, query, vector, self.embedder, min_relevance)
        asked = second.read(query)
        hits = second.rerank(asked, weights, hits)[:top]
        return judge_hits(hits, query, asked[0], second.reranker, min_relevance)

    def search_vector(self, vector: np.ndarray, top: int = 10, where: str | None = None) -> list[Hit]:
        """Return the pictures whose embeddings are nearest to a unit vector, best first."""
        if top < 1:
            raise UsageError(f"top must be at least 1, got {top}")
        return self._retriever.search(vector.astype(np.float32), top, where, self.manifest.index)

    def everything(self) -> tuple[list[Hit], Vectors]:
        """Return every picture, in order of path and with a score of 0, and their unit vectors."""
        self._refresh()
        rows = self._table.read(["id", "path", "caption", "vector"]).sort_by("path")
        vectors = as_matrix(rows["vector"]).astype(np.float32)
        told = rows.select(["id", "path", "caption"]).to_pylist()
        hits = [
            Hit(rank=rank, id=row["id"], path=row["path"], score=0.0, caption=row["caption"] or "")
            for rank, row in enumerate(told, start=1)
        ]
        return hits, vectors

    def load(self) -> None:
        """Read all vectors into memory now, so that no later search has to."""
        self._retriever.load()

    def facts(self) -> dict[str, Any]:
        """Return what there is to know of the collection, as JSON values.

        Raises:
            CollectionError: if a file of its tables is lost.
        """
        for table in (self._table, self._skipped):
            table.refresh()
            table.check()
        for kind in self.manifest.rerankers:
            self._second_stage(kind).check()
        index = self.manifest.index
        left_out = self._skipped.read(["id", "reason"]).to_pylist()
        return {
            "path": str(self.path),
            "num_pictures": len(self),
            "model": self.manifest.model,
            "fingerprint": self.manifest.fingerprint,
            "embed_dim": self.manifest.embed_dim,
            "index": "approximate" if index is not None else "exact",
            "recall@10": 1.0 if index is None else min(index.recall_on_disk, index.recall_in_memory),
            "recall": None if index is None else to_dict(index),
            "size_bytes": sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            "rerankers": {kind: facts.model for kind, facts in self.manifest.rerankers.items()},
            "columns": sorted(self._table.column_types().keys() - HIDDEN_COLUMNS),
            "sources": list(self.manifest.sources),
            "skipped": [{"path": row["id"], "reason": row["reason"]} for row in left_out],
        }

    def _second_stage(self, kind: str) -> SecondStage:
        facts = self.manifest.rerankers.get(kind)
        if facts is None:
            there = ", ".join(sorted(self.manifest.rerankers)) or "none"
            raise CollectionError(
                f"{self.path} has no re-ranker of the kind '{kind}' (it has {there}); "
                f"add one with `limner index --to {self.path} --reranker MODEL`"
            )
        if kind not in self._seconds or self._seconds[kind].facts != facts:
            self._seconds[kind] = SecondStage(self.path, kind, facts)
        return self._seconds[kind]

    def _keepers(self, given: Sequence[Reranker]) -> list[SecondStage]:
        """Return the second stages of re-rankers given, and of those of other kinds that the collection has."""
        facts = self.manifest.rerankers | {each.kind: facts_of(each) for each in given}
        models = {each.kind: each for each in given}
        return [
            SecondStage(self.path, kind, each, reranker=models.get(kind), is_new=True) for kind, each in facts.items()
        ]

    def _keep_parts(self, seconds: Sequence[SecondStage], progress: Callable[[Progress], None] | None) -> None:
        """Bring what re-rankers keep in step with the pictures; only then are new ones part of the collection."""
        if not seconds:
            return
        find = cache(lambda: find_pictures(tuple(Source(place=place) for place in self.manifest.sources)))
        for second in seconds:
            second.follow(self._table, find, progress)
        facts = {second.kind: second.facts for second in seconds}
        if facts != self.manifest.rerankers:
            self._write_manifest(replace(self.manifest, rerankers=facts))
        for path in set(self.path.glob("parts-*.lance")) - {second.path for second in seconds}:
            shutil.rmtree(path, ignore_errors=True)

    def _load(self) -> None:
        self.manifest = read_manifest(self.path)
        self._seconds: dict[str, SecondStage] = {}
        self._written = manifest_version(self.path)
        self._table = Table.open(self.path / self.manifest.pictures_folder)
        self._skipped = Table.open(self.path / self.manifest.skipped_folder)
        self._retriever = Retriever(self._table)

    def _refresh(self) -> None:
        """Go on to what another process has made of the collection."""
        if manifest_version(self.path) == self._written:
            return
        before = self.manifest
        self.manifest, self._written = read_manifest(self.path), manifest_version(self.path)
        if self.manifest.table != before.table:
            self._load()
        if self.manifest.fingerprint != before.fingerprint:
            self._embedder = None

    def _check(self, embedder: Embedder) -> None:
        if embedder.fingerprint != self.manifest.fingerprint:
            raise CollectionError(
                f"{self.path} was made with other weights ({self.manifest.model}) than {embedder.name} has now; "
                "index into a new folder, or index again with `--reindex`"
            )

    def _metadata(self, path: str | Path | None) -> MetadataTable | None:
        chosen = str(Path(path).expanduser().resolve()) if path is not None else self.manifest.metadata
        self.manifest = replace(self.manifest, metadata=chosen)
        return MetadataTable(Path(chosen)) if chosen else None

    def _sources(self, pictures: str | Path | Sequence[str | Path]) -> tuple[Source, ...]:
        places = [pictures] if isinstance(pictures, str | Path) else list(pictures)
        sources = find_sources(places) or tuple(Source(place=place) for place in self.manifest.sources)
        if not sources:
            raise CollectionError(f"{self.path} has no pictures yet; name a folder of pictures")
        return sources

    def _remove_tables(self, keep: Manifest) -> None:
        """Delete what a killed or finished change of the model has left."""
        for folder in self.path.glob("pictures*.lance"):
            if folder.name not in (keep.pictures_folder, keep.skipped_folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _tidy(self) -> None:
        """Merge small files and, for many pictures, bring the index up to date and measure it."""
        self._table.compact()
        self._skipped.compact()
        if index_is_due(self._table):
            index = renew_index(self._table, self._retriever, self.embedder)
            self._write_manifest(replace(self.manifest, index=index))

    def _write_manifest(self, manifest: Manifest) -> None:
        try:
            write_manifest(self.path, manifest)
        except OSError as error:
            raise CollectionError(
                f"{self.path} cannot be written ({error.strerror}); free some space or grant access, and run again"
            ) from None
        self.manifest, self._written = manifest, manifest_version(self.path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer, with the newest version of everything."""
        with (self.path / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CollectionError(
                    f"{self.path} is being written by another process; wait until that one is done"
                ) from None
            self._load()
            yield


def _manifest_of(embedder: Embedder) -> Manifest:
    name = embedder.name if embedder.name in SHIPPED else str(Path(embedder.name).resolve())
    return Manifest(model=name, fingerprint=embedder.fingerprint, embed_dim=embedder.embed_dim)


def _joined(places: Sequence[str], sources: Sequence[Source]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*places, *(source.place for source in sources)]))
