"""SVG drawings to square pictures, many at a time."""

import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float32
from PIL import Image

from limner.data.decoding import square
from limner.data.svg import draw_svg
from limner.errors import PictureError

__all__ = ["Raster", "Thumbnail", "is_blank", "rasterise", "thumbnail"]

Thumbnail = Float32[np.ndarray, " values"]
"""Colours in [0, 1] of a picture at 16 x 16 pixels, in one row."""

_THUMBNAIL_SIDE = 16
_BLANK_RMS = 0.03
_MOST_ENLARGED = 8
_MOST_WORKERS = 16


@dataclass(frozen=True, kw_only=True)
class Raster:
    """A drawing as PNG and as a thumbnail, or the reason why there is none."""

    png: bytes = b""
    thumbnail: Thumbnail | None = None
    dropped: str = ""


def rasterise(
    drawings: Sequence[bytes], size: int, *, trim: bool = False, workers: int | None = None
) -> Iterator[Raster]:
    """Draw SVG at `size` x `size` pixels on white, in order.

    Drawing happens in processes of its own (see `draw_svg`), so threads keep all cores busy. With `trim` wide
    blank margins are cut off first. A drawing that fails or is blank yields its reason.
    """
    workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    with ThreadPoolExecutor(workers, thread_name_prefix="limner-draw") as pool:
        source = iter(drawings)
        waiting = deque(pool.submit(_draw, drawing, size, trim) for drawing in islice(source, 8 * workers))
        while waiting:
            raster = waiting.popleft().result()
            waiting.extend(pool.submit(_draw, drawing, size, trim) for drawing in islice(source, 1))
            yield raster


def is_blank(small: Thumbnail) -> bool:
    """Whether a thumbnail is a near-duplicate of a white page."""
    return float(np.sqrt(np.mean((1 - small) ** 2))) <= _BLANK_RMS


def thumbnail(image: Image.Image) -> Thumbnail:
    """The thumbnail of a picture."""
    small = image.resize((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX)
    return (np.asarray(small, dtype=np.float32) / 255).ravel()


def _draw(drawing: bytes, size: int, trim: bool) -> Raster:
    try:
        image = _trimmed(drawing, size) if trim else square(draw_svg(drawing, size), size)
    except PictureError:
        return Raster(dropped="cannot be drawn")
    small = thumbnail(image)
    if is_blank(small):
        return Raster(dropped="blank")
    file = io.BytesIO()
    image.save(file, "PNG")
    return Raster(png=file.getvalue(), thumbnail=small)


def _trimmed(drawing: bytes, size: int) -> Image.Image:
    """Draw what is on the page: where it fills less than four fifths of it, again larger, and cut out."""
    page = draw_svg(drawing, size)
    box = _ink(page)
    filled = max(box[2] - box[0], box[3] - box[1]) if box else size
    if filled >= 0.8 * size:
        return square(page, size)
    scale = min(size / filled, _MOST_ENLARGED)
    page = draw_svg(drawing, round(size * scale))
    return square(page.crop(_ink(page)), size)


def _ink(page: Image.Image) -> tuple[int, int, int, int] | None:
    return page.convert("L").point(lambda value: 255 * (value < 250)).getbbox()
