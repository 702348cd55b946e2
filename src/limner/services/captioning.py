"""Say what pictures show by reading a DALL-E the other way: p(text | picture) ~ p(text) p(picture | text)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from limner.data.decoding import square
from limner.data.progress import Report, Say
from limner.errors import UsageError
from limner.generation.autoregressive import draw_texts
from limner.generation.drawer import Drawer
from limner.generation.likelihood import likelihoods
from limner.generation.sampling import Sampling
from limner.services.picture_files import find_files, none_readable, read_files

__all__ = ["Caption", "Captioned", "Captions", "caption_pictures", "read_texts"]


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A text, its probability among the candidates, and log p(text), log p(picture | text) in nats."""

    text: str
    probability: float
    text_nats: float
    picture_nats: float


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """A picture and its candidates, the most probable first."""

    path: Path
    captions: tuple[Caption, ...]


@dataclass(frozen=True, kw_only=True)
class Captions:
    """The pictures in the order given, and those that could not be read with the reason."""

    pictures: tuple[Captioned, ...]
    skipped: dict[Path, str]

    def to_json(self) -> dict[str, Any]:
        """Return pictures and skipped files as JSON values."""
        return {
            "pictures": [
                {"path": str(each.path), "captions": [caption.__dict__ for caption in each.captions]}
                for each in self.pictures
            ],
            "skipped": [{"path": str(path), "reason": reason} for path, reason in self.skipped.items()],
        }


def caption_pictures(
    drawer: Drawer,
    places: Sequence[Path],
    candidates: Sequence[str] | None,
    *,
    num_sampled: int = 64,
    top: int = 3,
    seed: int = 0,
    report: Report,
    say: Say,
) -> Captions:
    """Return the most probable of candidate texts for each picture; without candidates, of texts that the model says.

    Raises:
        UsageError: if a place is a picture set.
        PictureError: if no picture can be read.
    """
    skipped: dict[Path, str] = {}
    paths = find_files(places, remedy="caption takes files and folders")
    squares = [
        square(picture, drawer.image_size) for picture in read_files(paths, skipped, None, at_least=drawer.image_size)
    ]
    if not squares:
        raise none_readable(skipped)
    if candidates is None:
        seeds = [(seed, number) for number in range(num_sampled)]
        drawn = draw_texts(drawer.model, seeds, Sampling())
        candidates = sorted({drawer.tokenizer.decode(tokens) for tokens in drawn.tolist()} - {""})
        say(f"{num_sampled} texts drawn from the model, {len(candidates)} of them different")
    texts = list(dict.fromkeys(candidates))
    tokens, num_cut = drawer.tokenizer.encode(texts, drawer.model.config.text.length)
    if num_cut:
        say(f"{num_cut} of {len(texts)} texts are longer than the model reads and are cut")
    found = []
    read = [path for path in paths if path not in skipped]
    for number, (path, codes) in enumerate(zip(read, drawer.codes(squares), strict=True), 1):
        found.append(Captioned(path=path, captions=_judged(drawer, texts, tokens, codes)[:top]))
        report(number, len(read), "")
    return Captions(pictures=tuple(found), skipped=skipped)


def read_texts(path: Path) -> list[str]:
    """Return the texts of a file, one a line.

    Raises:
        UsageError: if it cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--texts: {path} cannot be read ({error}); give a text file in UTF-8") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"--texts: {path} holds no text; write one a line")
    return texts


def _judged(
    drawer: Drawer, texts: Sequence[str], tokens: Int[Tensor, "texts length"], codes: Int[Tensor, " places"]
) -> tuple[Caption, ...]:
    of_text, of_picture, _ = likelihoods(drawer.model, tokens, codes.expand(len(texts), -1))
    probabilities = (of_text + of_picture).double().softmax(dim=0)
    order = torch.argsort(-probabilities, stable=True).tolist()
    return tuple(
        Caption(
            text=texts[place],
            probability=float(probabilities[place]),
            text_nats=round(float(of_text[place]), 4),
            picture_nats=round(float(of_picture[place]), 4),
        )
        for place in order
    )
