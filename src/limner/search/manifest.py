"""What a collection says of itself: its model, where its pictures came from, and how well its index finds."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from limner.config import from_dict, to_dict
from limner.errors import CollectionError
from limner.models.checkpoints import write_file

__all__ = [
    "IndexFacts",
    "Manifest",
    "RerankerFacts",
    "is_collection",
    "manifest_version",
    "read_manifest",
    "write_manifest",
]

_FILE = "collection.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """How the approximate index is used, and the share of the true ten best that it finds.

    Measured on `num_queries` captions or pictures of the collection itself, from disk and in memory.
    """

    probes: int
    refine: int
    recall_on_disk: float
    recall_in_memory: float
    num_queries: int
    queries: str
    num_rows: int


@dataclass(frozen=True, kw_only=True)
class RerankerFacts:
    """A re-ranker that the collection keeps parts of its pictures for: `num_parts` vectors of `part_dim` each."""

    model: str
    fingerprint: str
    num_parts: int
    part_dim: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The file collection.json; `table` names the folder of the table that is in use, `rerankers` are by kind."""

    model: str
    fingerprint: str
    embed_dim: int
    table: str = "pictures"
    sources: tuple[str, ...] = ()
    metadata: str = ""
    index: IndexFacts | None = None
    rerankers: dict[str, RerankerFacts] = field(default_factory=dict)
    format: int = _FORMAT

    @property
    def pictures_folder(self) -> str:
        """The folder of the table of pictures, inside the collection's."""
        return f"{self.table}.lance"

    @property
    def skipped_folder(self) -> str:
        """The folder of the table of pictures that were left out."""
        return f"{self.table}-skipped.lance"


def is_collection(path: Path) -> bool:
    """Whether a folder holds a collection."""
    return (path / _FILE).is_file()


def read_manifest(path: Path) -> Manifest:
    """Read what a collection says of itself.

    Raises:
        CollectionError: if the folder is no collection, or one of a later Limner.
    """
    if not is_collection(path):
        there = "is not a collection" if path.exists() else "does not exist"
        raise CollectionError(f"{path} {there}; make one with `limner index PICTURES --to {path}`")
    try:
        values = json.loads((path / _FILE).read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("format", _FORMAT) > _FORMAT:
            raise CollectionError(f"{path} was made by a later version of Limner; install that one")
        return from_dict(Manifest, values)
    except CollectionError:
        raise
    except (OSError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise CollectionError(
            f"{path / _FILE} is damaged ({error}); delete the folder {path} and index the pictures again"
        ) from None


def manifest_version(path: Path) -> tuple[int, int]:
    """Return numbers that change when what a collection says of itself does.

    Raises:
        CollectionError: if the collection is gone.
    """
    try:
        status = (path / _FILE).stat()
        return status.st_mtime_ns, status.st_ino
    except OSError:
        raise CollectionError(f"{path} is gone; make it again with `limner index PICTURES --to {path}`") from None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace collection.json at once."""
    write_file(path / _FILE, json.dumps(to_dict(manifest), indent=2, ensure_ascii=False) + "\n")
