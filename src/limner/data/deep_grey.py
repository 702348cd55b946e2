"""Grey pictures with more than eight bits a pixel, scaled to eight instead of clipped."""

from typing import Any

import numpy as np
from jaxtyping import Float64
from PIL import Image, TiffImagePlugin

__all__ = ["deep_grey_to_rgb", "is_deep_grey"]


def is_deep_grey(image: Image.Image) -> bool:
    """Return whether the pixels are 16-bit, 32-bit or real numbers."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Scale by the range of 16 bits, by 1 or 255 where real numbers or integers stay below, else by their range."""
    values = _values(image)
    low, high = _range(image.mode, float(values.min()), float(values.max()))
    grey = np.rint((values - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)
    if (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and _tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    ):
        grey = 255 - grey
    return Image.fromarray(grey).convert("RGB")


def _values(image: Image.Image) -> Float64[np.ndarray, "height width"]:
    pixels = np.asarray(image)
    # Pillow reads unsigned 32-bit samples, TIFF's default, as signed ones.
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode == "I":
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (0,))[0]
        if bits == 32 and _tag(image, TiffImagePlugin.SAMPLEFORMAT) in (None, 1):
            pixels = pixels.view(np.uint32)
    values = pixels.astype(np.float64)
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, values[finite].min() if finite.any() else 0.0)


def _tag(image: TiffImagePlugin.TiffImageFile, number: int) -> int | None:
    value: Any = image.tag_v2.get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _range(mode: str, low: float, high: float) -> tuple[float, float]:
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and 255 < high <= 65_535):
        return 0.0, 65_535.0
    if mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, high
