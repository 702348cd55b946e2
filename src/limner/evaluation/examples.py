"""What a model is judged on: pictures of a set with their captions in one language, as vectors."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from PIL import Image

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.progress import Report
from limner.errors import DataError, PictureError
from limner.nn.parts import Parts, joined
from limner.search.embedder import Embedder, Vectors
from limner.search.embedding import embed_stream
from limner.search.reranker import Reranker

__all__ = ["Examples", "embed_pictures", "gather_examples", "gather_pictures", "normal_form", "read_parts"]

_READ_SIZE = 64
_DEFAULT_LANGUAGES = ("en", "")


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Pictures by their row in the set, and captions by `owners`, the place of their picture among `rows`."""

    rows: tuple[int, ...]
    ids: tuple[str, ...]
    concepts: tuple[str, ...]
    captions: tuple[str, ...]
    owners: tuple[int, ...]
    languages: tuple[str, ...]

    @property
    def caption_ids(self) -> list[str]:
        """Return one id a caption: that of its picture and its place, padded so that they sort alike everywhere."""
        return [f"{self.ids[owner]}#{place:06d}" for place, owner in enumerate(self.owners)]

    def only(self, kept: Sequence[int]) -> "Examples":
        """Return the examples of the pictures at these places."""
        places = {old: new for new, old in enumerate(kept)}
        captions = [place for place, owner in enumerate(self.owners) if owner in places]
        return replace(
            self,
            rows=tuple(self.rows[place] for place in kept),
            ids=tuple(self.ids[place] for place in kept),
            concepts=tuple(self.concepts[place] for place in kept),
            captions=tuple(self.captions[place] for place in captions),
            owners=tuple(places[self.owners[place]] for place in captions),
        )


def normal_form(text: str) -> str:
    """Return what two captions must share to count as the same: letters in NFKC without case, one space between."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def gather_examples(
    pictures: PictureSet,
    *,
    rows: Sequence[int] | None = None,
    splits: Sequence[str] = (),
    language: str | None = None,
) -> Examples:
    """Return the pictures at `rows`, or of `splits`, with their captions in a language.

    Without a language: English and captions of unknown language if the set has any, else every caption.

    Raises:
        DataError: if that leaves no picture or no caption.
    """
    table = pictures.rows(["id", "concept", "captions"], splits=splits)
    entries = table.to_pylist()
    if rows is not None:
        by_row = {entry["_row"]: entry for entry in entries}
        entries = [by_row[row] for row in rows]
    if not entries:
        raise DataError(f"{pictures.path} has no picture in the split {', '.join(splits)}; try --split all")
    known = {caption["language"] for entry in entries for caption in entry["captions"] or ()}
    chosen = {language} if language is not None else known & set(_DEFAULT_LANGUAGES) or known
    captions = [
        (owner, caption["text"])
        for owner, entry in enumerate(entries)
        for caption in entry["captions"] or ()
        if caption["language"] in chosen and caption["text"].strip()
    ]
    if not captions:
        raise DataError(_no_captions(pictures, language, known))
    return Examples(
        rows=tuple(entry["_row"] for entry in entries),
        ids=tuple(entry["id"] for entry in entries),
        concepts=tuple(entry["concept"] or entry["id"] for entry in entries),
        captions=tuple(text for _, text in captions),
        owners=tuple(owner for owner, _ in captions),
        languages=tuple(sorted(chosen)),
    )


def gather_pictures(pictures: PictureSet, rows: Sequence[int]) -> Examples:
    """Return the pictures at `rows` without captions, for queries that are pictures themselves."""
    entries = pictures.rows(["id", "concept"]).take(list(rows)).to_pylist()
    return Examples(
        rows=tuple(rows),
        ids=tuple(entry["id"] for entry in entries),
        concepts=tuple(entry["concept"] or entry["id"] for entry in entries),
        captions=(),
        owners=(),
        languages=(),
    )


def embed_pictures(
    embedder: Embedder, pictures: PictureSet, examples: Examples, *, report: Report | None = None
) -> tuple[Examples, Vectors]:
    """Return the examples whose pictures can be decoded, and a unit vector for each of these pictures.

    Raises:
        DataError: if none can be decoded, or none with a caption.
    """
    kept: list[int] = []
    vectors = embed_stream(embedder, _decode(pictures, examples, kept, report, at_least=embedder.image_size))
    found = examples.only(kept)
    if not found.rows or (examples.captions and not found.captions):
        raise DataError(f"no captioned picture of {pictures.path} can be decoded; see `limner data check`")
    return found, vectors


def read_parts(reranker: Reranker, pictures: PictureSet, examples: Examples, *, report: Report | None = None) -> Parts:
    """Return what a re-ranker keeps of the pictures of examples, which can all be decoded."""
    kept: list[int] = []
    size = reranker.image_size
    squares = (square(picture, size) for picture in _decode(pictures, examples, kept, report, at_least=size))
    batches = []
    while batch := list(islice(squares, _READ_SIZE)):
        batches.append(reranker.picture_parts(batch))
    assert len(kept) == len(examples.rows)
    return joined(batches)


def _decode(
    pictures: PictureSet, examples: Examples, kept: list[int], report: Report | None, *, at_least: int
) -> Iterator[Image.Image]:
    """Yield the pictures that can be decoded and write their places into `kept`."""
    for start in range(0, len(examples.rows), _READ_SIZE):
        rows = examples.rows[start : start + _READ_SIZE]
        for place, data in enumerate(pictures.pictures(rows), start):
            try:
                picture = decode_picture(data, at_least=at_least)
            except PictureError:
                continue
            kept.append(place)
            yield picture
        if report:
            report(start + len(rows), len(examples.rows), "")


def _no_captions(pictures: PictureSet, language: str | None, known: set[str]) -> str:
    if language is None or not known:
        return f"{pictures.path} has no captions there, so there is nothing to search for; import it with captions"
    listed = ", ".join(sorted(name or "unknown" for name in known))
    return f"{pictures.path} has no captions in the language '{language}' there; it has: {listed}"
