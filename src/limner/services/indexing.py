"""Make a collection of pictures, keep it in step with them, and say what there is to know of it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from limner.errors import CollectionError, DataError, LimnerError
from limner.search.collection import Collection
from limner.search.embedder import load_embedder
from limner.search.manifest import is_collection
from limner.search.reranker import Reranker, load_reranker
from limner.search.scanning import find_pictures, find_sources
from limner.search.sync import Progress, SyncReport

__all__ = ["DEFAULT_MODEL", "Progress", "SyncReport", "describe", "index_pictures"]

DEFAULT_MODEL = "pictograms"


def index_pictures(
    pictures: Sequence[str | Path],
    to: Path,
    *,
    model: str | None = None,
    metadata: Path | None = None,
    rerankers: Sequence[str] = (),
    anew: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Bring a collection in step with pictures; make it if there is none, or embed everything `anew`.

    `rerankers` are models that searches may re-rank with from now on.

    Raises:
        DataError: if a place does not exist, or none of its pictures can be read.
        CollectionError: if the collection was made with another model, or is being written.
        ModelError: if there is no such model.
    """
    seconds = [load_reranker(name) for name in rerankers]
    if is_collection(to):
        return _follow(pictures, to, model, metadata, seconds, anew, progress)
    if not pictures:
        raise CollectionError(f"{to} is not a collection yet; name the pictures that it shall hold")
    found = find_pictures(find_sources(pictures))
    collection = Collection.create(to, load_embedder(model or DEFAULT_MODEL))
    try:
        report = collection.sync(pictures, metadata=metadata, rerankers=seconds, progress=progress)
        if not report.num_pictures:
            first = report.skipped[0]
            raise DataError(
                f"none of the {len(found)} pictures can be read ({first.path} {first.reason}); name other ones"
            )
    except LimnerError:
        if not len(collection):
            shutil.rmtree(collection.path, ignore_errors=True)
        raise
    return report


def describe(path: Path) -> dict[str, Any]:
    """Return what there is to know of a collection, as JSON values."""
    return Collection.open(path).facts()


def _follow(
    pictures: Sequence[str | Path],
    to: Path,
    model: str | None,
    metadata: Path | None,
    rerankers: Sequence[Reranker],
    anew: bool,
    progress: Callable[[Progress], None] | None,
) -> SyncReport:
    if not anew:
        embedder = load_embedder(model) if model is not None else None
        opened = Collection.open(to, embedder)
        return opened.sync(pictures, metadata=metadata, rerankers=rerankers, progress=progress)
    collection = Collection.open(to)
    embedder = load_embedder(model or collection.manifest.model)
    return collection.reindex(embedder, pictures, metadata=metadata, rerankers=rerankers, progress=progress)
