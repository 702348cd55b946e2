"""Search a collection: one query, or a file of them, with a contact sheet of what was found."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from limner.data.progress import Report, Say
from limner.data.sheet import check_sheet, save_sheet
from limner.errors import LimnerError, PictureError, UsageError
from limner.generation.defaults import GUIDANCE, TOP_P
from limner.generation.drawer import Drawer
from limner.search.collection import Collection
from limner.search.embedder import load_embedder
from limner.search.query import Query, parse_query
from limner.search.reading import open_indexed
from limner.search.retrieve import Hit
from limner.services.drawing import Drawn, Request, Sampling, draw

__all__ = [
    "Collection",
    "Drawn",
    "Hit",
    "Manner",
    "Query",
    "answer",
    "answer_file",
    "as_json",
    "check_sheet",
    "draw_hits",
    "draw_instead",
    "drawable_words",
    "open_collection",
    "parse_query",
]

_NUM_DRAWN = 32
_KEYS = {"text": str, "picture": str, "plus": list, "minus": list, "top": int, "where": str}


def open_collection(path: Path, model: str | None = None) -> Collection:
    """Open a collection, and check that `model`, if one is given, is the one it was made with.

    Raises:
        CollectionError: if there is no collection, or it was made with another model.
    """
    collection = Collection.open(path)
    return collection if model is None else Collection.open(path, load_embedder(model))


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How hits are found: how many, under which SQL condition, re-ranked by which kind of model among how many.

    With `min_relevance`, only those that are as likely to be right; with `exclude_itself`, none that is asked with.
    """

    top: int = 10
    where: str | None = None
    rerank: str | None = None
    depth: int = 50
    min_relevance: float | None = None
    exclude_itself: bool = False


def answer(collection: Collection, query: Query, manner: Manner) -> list[Hit]:
    """Return the best pictures for a query, best first; none if none is likely enough."""
    return collection.search(
        query,
        manner.top,
        manner.where,
        rerank=manner.rerank,
        depth=manner.depth,
        min_relevance=manner.min_relevance,
        exclude_itself=manner.exclude_itself,
    )


def answer_file(collection: Collection, queries: Path, manner: Manner) -> Iterator[dict[str, Any]]:
    """Yield an answer for each line of a file: words, or a JSON object with text, picture, plus, minus, top, where.

    Raises:
        UsageError: naming the line, before anything is answered, if one is no query.
        LimnerError: naming the line, at its turn, if its picture or its condition turns out to be of no use.
    """
    places = {f"{queries}, line {number}": line for number, line in _lines(queries)}
    parsed = {place: _parse_line(line, place, manner) for place, line in places.items()}
    if len(parsed) > 1 and len(collection):
        collection.load()
    for place, (query, its_manner) in parsed.items():
        try:
            hits = answer(collection, query, its_manner)
        except LimnerError as error:
            raise type(error)(f"{place}: {error}") from None
        yield as_json(query, hits)


def draw_instead(collection: Collection, query: Query, drawer: Drawer, *, top: int, report: Report, say: Say) -> Drawn:
    """Draw what a search for words did not find; the collection's own model picks the best `top` of 32.

    Raises:
        UsageError: if the query has no words.
    """
    how = Sampling(guidance=GUIDANCE, top_p=TOP_P)
    request = Request(words=drawable_words(query), count=max(_NUM_DRAWN, top), keep=top, how=how)
    return draw(drawer, request, ranker=collection.embedder, report=report, say=say)


def drawable_words(query: Query) -> str:
    """Return the words that count for a query.

    Raises:
        UsageError: if there are none.
    """
    words = ", ".join(term.words for term in query.terms if term.words and term.weight > 0)
    if not words:
        raise UsageError("--or-draw draws what words say, and the query has none that count for it; add some")
    return words


def as_json(query: Query, hits: Sequence[Hit]) -> dict[str, Any]:
    """Return a query and its hits as JSON values, without what was not asked for."""
    known = [{name: value for name, value in asdict(hit).items() if value is not None} for hit in hits]
    return {"query": str(query), "hits": known}


def draw_hits(hits: Sequence[Hit], out: Path) -> None:
    """Write a contact sheet of hits with rank, score and caption; a picture that is gone stays white."""
    pictures = [_opened(hit) for hit in hits]
    titles = [f"{hit.rank}. {hit.score:.3f} {hit.caption}" for hit in hits]
    save_sheet(pictures, titles, out)


def _opened(hit: Hit) -> Image.Image:
    try:
        return open_indexed(hit.path)
    except PictureError:
        return Image.new("RGB", (64, 64), "white")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--queries: {path} cannot be read ({error}); give a text file in UTF-8") from None
    lines = text.rstrip("\n").split("\n")
    if not text.strip():
        raise UsageError(f"--queries: {path} holds no query; write one a line")
    yield from enumerate(lines, start=1)


def _parse_line(line: str, place: str, manner: Manner) -> tuple[Query, Manner]:
    try:
        if not line.lstrip().startswith("{"):
            return parse_query(line.rstrip("\r")), manner
        values = json.loads(line)
        for key, value in values.items():
            if key not in _KEYS:
                raise UsageError(f"unknown key '{key}'; known keys: {', '.join(_KEYS)}")
            if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
                raise UsageError(f"'{key}' takes a {_KEYS[key].__name__}, got {value!r}")
            if isinstance(value, list) and not all(isinstance(each, str) for each in value):
                raise UsageError(f"'{key}' takes a list of words or @FILE, got {value!r}")
        if values.get("top", 1) < 1:
            raise UsageError(f"'top' must be at least 1, got {values['top']}")
        query = parse_query(
            values.get("text"),
            pictures=[values["picture"]] if values.get("picture") else [],
            plus=values.get("plus", []),
            minus=values.get("minus", []),
        )
        return query, replace(manner, top=values.get("top", manner.top), where=values.get("where", manner.where))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON ({error}); write words, or an object with a text") from None
