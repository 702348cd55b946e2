"""Test protocols of the built-in sets: which pictures are searched, one a concept unless said otherwise.

U: concepts that training never saw, in styles that it saw. S: concepts that it saw, in a style that it never saw.
C: clip art of unseen titles. V-U and V-C: the like of U and C on the validation split, and V-S: the like of S in
another style, for choosing. D: drawings of unseen concepts, asked by a picture in one style, searched among the others.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from limner.data.builtin.icon_families import STYLE_TEST_FAMILIES, TRAINING_FAMILIES
from limner.data.builtin.openclipart import SOURCE as CLIP_ART
from limner.data.splitting import hash_share

__all__ = ["COLUMNS", "PROTOCOLS", "Protocol", "drawings", "one_a_concept", "unseen"]

COLUMNS = ("id", "concept", "source", "split")
"""Columns of a picture set that the protocols read, besides `_row`."""

_STYLE, _STYLE_TO_CHOOSE_BY = STYLE_TEST_FAMILIES


def unseen(table: pa.Table, sources: Collection[str], split: str) -> list[int]:
    """One row for each concept of a held-out split, among the pictures of some families, chosen by a hash of the id."""
    return one_a_concept(entry for entry in table.to_pylist() if entry["split"] == split and entry["source"] in sources)


def seen(table: pa.Table, style: str) -> list[int]:
    """One row for each concept of a style-test family that some training picture shows too."""
    entries = table.to_pylist()
    trained_on = {entry["concept"] for entry in entries if entry["split"] == "train"}
    return one_a_concept(entry for entry in entries if entry["source"] == style and entry["concept"] in trained_on)


def drawings(
    table: pa.Table, families: Collection[str] = TRAINING_FAMILIES, split: str = "test"
) -> dict[str, tuple[list[int], list[int]]]:
    """Rows that ask and rows that are searched, by the asking family; each query has an answer among the others."""
    held_out = [entry for entry in table.to_pylist() if entry["split"] == split and entry["source"] in families]
    found: dict[str, tuple[list[int], list[int]]] = {}
    for family in families:
        gallery = [entry for entry in held_out if entry["source"] != family]
        answerable = {entry["concept"] for entry in gallery}
        queries = [entry for entry in held_out if entry["source"] == family and entry["concept"] in answerable]
        if queries:
            found[family] = ([entry["_row"] for entry in queries], [entry["_row"] for entry in gallery])
    return found


def one_a_concept(entries: Iterable[dict[str, Any]]) -> list[int]:
    """Rows of the entry of each concept whose id has the least hash, in order."""
    chosen: dict[str, tuple[float, int]] = {}
    for entry in entries:
        candidate = hash_share(entry["id"]), entry["_row"]
        chosen[entry["concept"]] = min(candidate, chosen.get(entry["concept"], candidate))
    return sorted(row for _, row in chosen.values())


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A text -> picture test: the built-in set it is of, what it asks, and the rows that are searched."""

    set_name: str
    what: str
    rows: Callable[[pa.Table], list[int]]


PROTOCOLS: dict[str, Protocol] = {
    "U": Protocol(
        set_name="pictograms",
        what="unseen concepts in seen styles",
        rows=lambda table: unseen(table, TRAINING_FAMILIES, "test"),
    ),
    "S": Protocol(
        set_name="pictograms",
        what="seen concepts in an unseen style",
        rows=lambda table: seen(table, _STYLE),
    ),
    "C": Protocol(
        set_name="openclipart",
        what="clip art of unseen titles",
        rows=lambda table: unseen(table, (CLIP_ART,), "test"),
    ),
    "V-U": Protocol(
        set_name="pictograms",
        what="validation concepts in seen styles, for choosing",
        rows=lambda table: unseen(table, TRAINING_FAMILIES, "validation"),
    ),
    "V-C": Protocol(
        set_name="openclipart",
        what="clip art of validation titles, for choosing",
        rows=lambda table: unseen(table, (CLIP_ART,), "validation"),
    ),
    "V-S": Protocol(
        set_name="pictograms",
        what="seen concepts in another unseen style, for choosing",
        rows=lambda table: seen(table, _STYLE_TO_CHOOSE_BY),
    ),
}
"""Every text -> picture protocol, by its letter."""
