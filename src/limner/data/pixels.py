"""Pictures to tensors and back."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from limner.data.decoding import square
from limner.types import Images

__all__ = ["Pixels", "images_of", "pictures_of", "stack_images"]

Pixels = UInt8[np.ndarray, "size size 3"]


def stack_images(pictures: Sequence[Image.Image], size: int) -> Images:
    """Return pictures as one tensor in [0, 1], each padded to a square of this side."""
    return images_of([np.asarray(square(picture, size)) for picture in pictures])


def images_of(pixels: Sequence[Pixels]) -> Images:
    """Return arrays of 8 bits a channel as one tensor in [0, 1]."""
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def pictures_of(images: Images) -> list[Image.Image]:
    """Return tensors in [0, 1] as pictures of 8 bits a channel."""
    pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(each) for each in pixels]
