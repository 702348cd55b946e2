"""Pictures drawn in one named colour, with captions that name it: what things are called says little of their colour.

Two pictures that follow each other in the stream become the same one in two colours, so that a batch in which a text
must find its picture asks for the colour and not for the thing alone. A colour takes all that is drawn, or only what
has the hue that a picture has most of: a red car has black wheels.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from limner.data.augmentation import luminance
from limner.types import Images

__all__ = ["TINTS", "Tint", "Tinted", "names_a_colour", "tinted", "tints_of"]


Colours = Float[Tensor, "batch 3 1 1"]
Greys = Float[Tensor, "batch 1 height width"]
Marks = Bool[Tensor, "batch 1 1 1"]


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
_LINES, _LINED, _REPAINTED = 0.3, 0.3, 0.6
"""How light black lines may be; below which draw they stay, and from which only the most frequent hue is repainted."""
_NUM_HUES, _NEAR_HUE, _CHROMA, _LEAST_SHARE = 12, math.cos(math.radians(40)), 0.2, 0.06
"""The hues tried, how near to one a point has it, from which chroma for certain, and how much of a picture must."""


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
    """Return pictures in [0, 1] in a colour each, and white where they were white."""
    draws = torch.from_numpy(np.stack([change.draws for change in changes]))
    darker, lighter = (
        torch.tensor([getattr(TINTS[change.tint], end) for change in changes]) for end in ("darker", "lighter")
    )
    colours = rearrange(torch.lerp(darker, lighter, draws[:, :1]), "b c -> b c 1 1")
    how = rearrange(draws[:, 1], "b -> b 1 1 1")
    changed = _drawn_in(images, colours, how < _LINED)
    asked = (how >= _REPAINTED).flatten()
    hue = _most_frequent_hue(images[asked])
    has_hue = hue.mean(dim=(1, 2, 3), keepdim=True) > _LEAST_SHARE
    changed[asked] = torch.where(has_hue, _repainted(images[asked], hue, colours[asked]), changed[asked])
    return changed


def _drawn_in(images: Images, colours: Colours, keep_lines: Marks) -> Images:
    """Return pictures in one colour: what is dark takes it, and where asked to, what is black around fills stays so."""
    darkness = 1 - luminance(images)
    drawn = 1 - darkness.clamp(0, 1).sqrt() * (1 - colours)
    lines = ((darkness - 1 + _LINES) / _LINES).clamp(0, 1)
    between = (darkness > 0.1) & (darkness < 1 - _LINES)
    has_fills = between.float().mean(dim=(1, 2, 3), keepdim=True) > 0.05  # without, the colour would be nowhere
    return torch.where(keep_lines & has_fills, drawn * (1 - lines), drawn).clamp(0, 1)


def _repainted(images: Images, region: Greys, colours: Colours) -> Images:
    """Return pictures whose region has a colour, lighter and darker where it was lighter and darker than its mean."""
    light = luminance(images)
    mean = (light * region).sum(dim=(2, 3), keepdim=True) / region.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    shade = (light / mean.clamp_min(1e-6)).clamp(0, 1)
    shine = ((light - mean) / (1 - mean).clamp_min(1e-6)).clamp(0, 1)
    painted = torch.lerp(colours * shade, torch.ones_like(images), shine)
    return torch.lerp(images, painted, region)


def _most_frequent_hue(images: Images) -> Greys:
    """Return, from 0 to 1, how much every point has of the hue that most of the picture's coloured points have."""
    red, green, blue = images.unbind(dim=1)
    chroma = torch.stack([red - (green + blue) / 2, (green - blue) * (3**0.5 / 2)], dim=1)
    strength = chroma.norm(dim=1, keepdim=True)
    angles = torch.arange(_NUM_HUES) * (2 * math.pi / _NUM_HUES)
    hues = torch.stack([angles.cos(), angles.sin()], dim=1)
    nearness = torch.einsum("bchw,nc->bnhw", chroma, hues) / strength.clamp_min(1e-6)
    has_hue = ((nearness - _NEAR_HUE) / (1 - _NEAR_HUE) * 4).clamp(0, 1) * (strength / _CHROMA).clamp(0, 1)
    most = has_hue.sum(dim=(2, 3)).argmax(dim=1)
    return has_hue[torch.arange(len(images)), most].unsqueeze(1)
