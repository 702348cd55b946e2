"""Pictures made so small that only how they look at a glance remains."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from limner.data.decoding import square

__all__ = ["THUMBNAIL_SIZE", "Thumbnail", "thumbnail"]

THUMBNAIL_SIZE = 16
Thumbnail = UInt8[np.ndarray, "16 16 3"]


def thumbnail(image: Image.Image) -> Thumbnail:
    """Return a picture, squared on white, as 16 x 16 pixels."""
    return np.asarray(square(image, THUMBNAIL_SIZE))
