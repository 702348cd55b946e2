"""Many pictures to vectors with little memory: each is fitted to the model's square as soon as it is read."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from PIL import Image

from limner.data.decoding import square
from limner.search.embedder import Embedder, Vectors

__all__ = ["embed_stream"]

_BATCH_SIZE = 64


def embed_stream(embedder: Embedder, pictures: Iterable[Image.Image]) -> Vectors:
    """Return one unit vector a picture; only one whole picture and one batch of squares are held at a time."""
    squares = (square(picture, embedder.image_size) for picture in pictures)
    vectors = [embedder.embed_pictures(batch) for batch in _batches(squares)]
    return np.concatenate(vectors) if vectors else np.zeros((0, embedder.embed_dim), dtype=np.float32)


def _batches(squares: Iterator[Image.Image]) -> Iterator[list[Image.Image]]:
    while batch := list(islice(squares, _BATCH_SIZE)):
        yield batch
