"""Many pictures to vectors with little memory: batches end at a number of pictures or of pixels."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from limner.search.embedder import Embedder, Vectors

__all__ = ["embed_stream"]

_BATCH_SIZE = 64
_BATCH_PIXELS = 32_000_000


def embed_stream(embedder: Embedder, pictures: Iterable[Image.Image]) -> Vectors:
    """Return one unit vector a picture; only one batch of pictures is held at a time."""
    vectors = [embedder.embed_pictures(batch) for batch in _batches(pictures)]
    return np.concatenate(vectors) if vectors else np.zeros((0, embedder.embed_dim), dtype=np.float32)


def _batches(pictures: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    batch: list[Image.Image] = []
    pixels = 0
    for picture in pictures:
        batch.append(picture)
        pixels += picture.width * picture.height
        if len(batch) >= _BATCH_SIZE or pixels >= _BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
