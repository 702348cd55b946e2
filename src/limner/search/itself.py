"""The picture that a query asks with, where the collection holds it too: found by its bytes, whatever its name."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limner.data.decoding import read_bytes
from limner.errors import UsageError
from limner.search.query import Query
from limner.search.retrieve import Hit
from limner.search.store import Table, quote

__all__ = ["ids_of_itself", "without"]


def ids_of_itself(query: Query, pictures: Table) -> frozenset[str]:
    """Return the ids of indexed pictures whose files are, byte for byte, those that a query asks with.

    Raises:
        UsageError: if a picture of the query is an image in memory, which has no file.
        PictureError: naming the file, if one cannot be read.
    """
    asked = [term.picture for term in query.terms if term.picture is not None]
    contents = []
    for picture in asked:
        if not isinstance(picture, Path):
            raise UsageError("a picture in memory has no file to be left out; ask with its path")
        contents.append(hashlib.sha256(read_bytes(picture)).hexdigest())
    if not contents:
        return frozenset()
    rows = pictures.read(["id"], where=f"content IN ({', '.join(map(quote, contents))})")
    return frozenset(rows["id"].to_pylist())


def without(hits: Sequence[Hit], ids: frozenset[str], top: int) -> list[Hit]:
    """Return the best hits but those of some ids, ranked anew."""
    if not ids:
        return list(hits[:top])
    kept = [hit for hit in hits if hit.id not in ids][:top]
    return [replace(hit, rank=rank) for rank, hit in enumerate(kept, start=1)]
