"""Draw what words say, or go on with a started picture; a CLIP puts what fits the words best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from PIL import Image
from torch import Tensor

from limner.data.decoding import read_picture
from limner.data.progress import Report, Say
from limner.data.sheet import check_sheet, save_sheet
from limner.errors import UsageError
from limner.generation.autoregressive import Known
from limner.generation.defaults import COUNT
from limner.generation.drawer import Drawer
from limner.generation.sampling import Sampling
from limner.search.embedder import Embedder, load_embedder

__all__ = [
    "PARTS",
    "Drawing",
    "Drawn",
    "Part",
    "Request",
    "Sampling",
    "check_places",
    "complete",
    "draw",
]

Part = Literal["top", "left", "box"]
PARTS: tuple[Part, ...] = ("top", "left", "box")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: `count` pictures of words, of which `keep` are returned (None: all)."""

    words: str
    count: int = COUNT
    keep: int | None = None
    seed: int = 0
    how: Sampling = Sampling()


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A picture: its number among those of the seed, and the cosine that a CLIP gives it with the words."""

    number: int
    score: float | None
    picture: Image.Image


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The pictures that were kept, best first where there are words to judge them by."""

    request: Request
    model: str
    drawings: tuple[Drawing, ...]

    def to_json(self, files: Sequence[Path] = ()) -> dict[str, Any]:
        """Return what was drawn as JSON values, with the file that each picture went into."""
        shown: list[dict[str, Any]] = [{"number": each.number, "score": each.score} for each in self.drawings]
        for entry, file in zip(shown, files, strict=False):
            entry["file"] = str(file)
        return {"words": self.request.words, "model": self.model, "seed": self.request.seed, "drawings": shown}

    def save(self, *, sheet: Path | None, out: Path | None) -> list[Path]:
        """Write a contact sheet, and each picture into a folder; return the files of the pictures."""
        if sheet is not None:
            titles = ["" if each.score is None else f"{each.score:.3f}" for each in self.drawings]
            words = self.request.words or "no words"
            save_sheet(
                [each.picture for each in self.drawings], [f"{words} {title}".strip() for title in titles], sheet
            )
        if out is None:
            return []
        out.mkdir(parents=True, exist_ok=True)
        files = [out / f"{self.request.seed}-{each.number:03d}.png" for each in self.drawings]
        for file, each in zip(files, self.drawings, strict=True):
            each.picture.save(file)
        return files


def check_places(sheet: Path | None, out: Path | None, watch: Path | None = None) -> None:
    """Check where drawings shall go before any is drawn.

    Raises:
        UsageError: if nowhere, to a file that is no picture, or to a folder that holds something.
    """
    if sheet is None and out is None:
        raise UsageError("say where the drawings go: --sheet FILE for a contact sheet, --out FOLDER for each alone")
    for place, option in ((sheet, "--sheet"), (watch, "--watch")):
        if place is not None:
            check_sheet(place, option=option)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; name a new folder with --out")


def draw(
    drawer: Drawer,
    request: Request,
    *,
    ranker: str | Embedder | None,
    report: Report,
    say: Say,
    known: Known | None = None,
    watch: Path | None = None,
) -> Drawn:
    """Draw what is asked for; the CLIP `ranker`, or one of this name, judges the pictures.

    `watch` is a contact sheet that is written again as rows of codes are drawn. Words beyond what the model reads are
    cut, and no words are an empty prompt; both are said.
    """
    judge = load_embedder(ranker) if isinstance(ranker, str) else ranker
    prompt = drawer.prompt(request.words)
    if prompt.is_empty:
        say("no words are given: drawing anything")
    if prompt.is_cut:
        read = drawer.tokenizer.decode(prompt.tokens[0].tolist())
        say(f"the words are longer than the model reads and are cut after '{read}'")
    places = drawer.model.num_places
    sheet = None if watch is None else _Watched(drawer, watch)

    def follow(rows: range, codes: Int[Tensor, "batch places"], num_drawn: int) -> None:
        report(rows.start * places + len(rows) * num_drawn, request.count * places, "")
        if sheet is not None:
            sheet.show(codes, num_drawn)

    pictures = drawer.draw(request.words, request.count, seed=request.seed, how=request.how, known=known, watch=follow)
    drawings = [Drawing(number=number, score=None, picture=each) for number, each in enumerate(pictures)]
    if judge is not None and not prompt.is_empty:
        drawings = _ranked(judge, request.words, pictures)
    return Drawn(request=request, model=drawer.name, drawings=tuple(drawings[: request.keep]))


def complete(
    drawer: Drawer,
    picture: Path,
    request: Request,
    *,
    part: Part,
    share: float,
    ranker: str | Embedder | None,
    report: Report,
    say: Say,
    watch: Path | None = None,
) -> Drawn:
    """Keep a part of a picture, `share` of its side, as codes, and draw the rest.

    Raises:
        PictureError: if the picture cannot be read.
        UsageError: if that keeps all of it or nothing.
    """
    kept = _kept(part, share, drawer.model.config.grid_size)
    codes = drawer.codes([read_picture(picture)])[0]
    known = Known(codes=codes, kept=kept)
    return draw(drawer, request, ranker=ranker, report=report, say=say, known=known, watch=watch)


def _kept(part: Part, share: float, side: int) -> Bool[Tensor, " places"]:
    length = round(share * side)
    if not 0 < length < side:
        raise UsageError(f"--share {share:g} keeps {length} of {side} rows of codes; give a share between these")
    first = (side - length) // 2 if part == "box" else 0
    inside = torch.arange(side)
    inside = (inside >= first) & (inside < first + length)
    everywhere = torch.ones_like(inside)
    rows, columns = inside if part != "left" else everywhere, inside if part != "top" else everywhere
    return (rows[:, None] & columns[None, :]).flatten()


def _ranked(judge: Embedder, words: str, pictures: Sequence[Image.Image]) -> list[Drawing]:
    scores = judge.embed_pictures(pictures) @ judge.embed_texts([words])[0]
    order = np.argsort(-scores, kind="stable").tolist()
    return [Drawing(number=place, score=round(float(scores[place]), 6), picture=pictures[place]) for place in order]


class _Watched:
    """A contact sheet of the pictures in work, white where nothing is drawn yet."""

    def __init__(self, drawer: Drawer, out: Path) -> None:
        self._drawer, self._out = drawer, out
        self._white = drawer.codes([Image.new("RGB", (8, 8), "white")])[0]

    def show(self, codes: Int[Tensor, "batch places"], num_drawn: int) -> None:
        shown = codes.clone()
        shown[:, num_drawn:] = self._white[num_drawn:]
        save_sheet(self._drawer.pictures(shown), [""] * len(codes), self._out)
