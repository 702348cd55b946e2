"""Pictures drawn in one named colour, with captions that name it: what things are called says little of their colour.

Two pictures that follow each other in the stream become the same one in two colours, so that a batch in which a text
must find its picture asks for the colour and not for the thing alone.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32
from torch import Tensor

from limner.data.augmentation import luminance
from limner.types import Images

__all__ = ["TINTS", "Tint", "Tinted", "names_a_colour", "tinted", "tints_of"]


class Tint(NamedTuple):
    """A colour by its name, between a darker and a lighter red, green and blue, and how captions name it."""

    name: str
    darker: tuple[float, float, float]
    lighter: tuple[float, float, float]
    captions: dict[str, tuple[str, ...]]


class Tinted(NamedTuple):
    """What becomes of a picture: the number of its tint, and four draws in [0, 1) of shade, strokes and words."""

    tint: int
    draws: Float32[np.ndarray, "4"]


def _tint(name: str, russian: str, darker: tuple[float, float, float], lighter: tuple[float, float, float]) -> Tint:
    return Tint(name, darker, lighter, {"en": (f"{name} {{}}", f"{{}} in {name}"), "ru": (f"{{}} {russian} цвета",)})


TINTS = (
    _tint("red", "красного", (0.70, 0.05, 0.08), (0.95, 0.25, 0.22)),
    _tint("orange", "оранжевого", (0.90, 0.40, 0.00), (1.00, 0.62, 0.15)),
    _tint("yellow", "жёлтого", (0.92, 0.75, 0.00), (1.00, 0.90, 0.30)),
    _tint("green", "зелёного", (0.05, 0.42, 0.12), (0.35, 0.75, 0.35)),
    _tint("blue", "синего", (0.05, 0.15, 0.60), (0.20, 0.50, 0.90)),
    _tint("light blue", "голубого", (0.35, 0.70, 0.92), (0.60, 0.85, 1.00)),
    _tint("purple", "фиолетового", (0.35, 0.08, 0.50), (0.62, 0.35, 0.80)),
    _tint("pink", "розового", (0.95, 0.40, 0.60), (1.00, 0.70, 0.80)),
    _tint("brown", "коричневого", (0.32, 0.18, 0.06), (0.58, 0.36, 0.20)),
    _tint("black", "чёрного", (0.00, 0.00, 0.00), (0.12, 0.12, 0.12)),
)

_COLOUR_WORD = re.compile(
    r"\b(red|orange|yellow|green|blue|purple|violet|pink|brown|gr[ae]y|black|white|gold(en)?|silver|dark|light|"
    r"colou?r\w*|rainbow)\b",
    re.IGNORECASE,
)
_LINES, _LINE_RATE = 0.3, 0.5


def names_a_colour(text: str) -> bool:
    """Return whether an English text has the name of a colour, or of what has many."""
    return bool(_COLOUR_WORD.search(text))


def tints_of(element: int, seed: int, rate: float) -> Tinted | None:
    """Return what becomes of the picture at a place of the stream; both places of a pair are changed, or none."""
    pair, second = divmod(element, 2)
    draws = np.random.Generator(np.random.Philox(key=[seed + (2 << 32), pair])).random(11, dtype=np.float32)
    if draws[0] >= rate:
        return None
    tint = int(draws[1] * len(TINTS))
    other = int(draws[2] * (len(TINTS) - 1))
    chosen = (tint + 1 + other) % len(TINTS) if second else tint
    return Tinted(chosen, draws[7:11] if second else draws[3:7])


def tinted(images: Images, changes: Sequence[Tinted]) -> Images:
    """Return pictures in [0, 1] in one colour each: what is dark takes it, white stays, and half keep black lines."""
    draws = torch.from_numpy(np.stack([change.draws for change in changes]))
    darker, lighter = (
        torch.tensor([getattr(TINTS[change.tint], end) for change in changes]) for end in ("darker", "lighter")
    )
    colours = rearrange(torch.lerp(darker, lighter, draws[:, :1]), "b c -> b c 1 1")
    darkness = 1 - luminance(images)
    drawn = 1 - darkness.clamp(0, 1).sqrt() * (1 - colours)
    lines = ((darkness - 1 + _LINES) / _LINES).clamp(0, 1)
    is_lined = rearrange(draws[:, 1] < _LINE_RATE, "b -> b 1 1 1") & _has_fills(darkness)
    return torch.where(is_lined, drawn * (1 - lines), drawn).clamp(0, 1)


def _has_fills(darkness: Float32[Tensor, "batch 1 height width"]) -> Tensor:
    """Return whether a picture is more than black lines: else the colour would be nowhere."""
    between = (darkness > 0.1) & (darkness < 1 - _LINES)
    return between.float().mean(dim=(1, 2, 3), keepdim=True) > 0.05
