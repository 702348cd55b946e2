"""What is known of a training gallery before the first step: which concepts look alike, and which pictures are copies.

It is worked out once and kept in the run's folder, so that a resumed run draws the batches of an uninterrupted one.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from limner.data.duplicates import near_duplicates
from limner.data.loader import CaptionedLoader
from limner.data.pixels import stack_images
from limner.data.thumbnails import thumbnail
from limner.errors import TrainingError
from limner.models.clip import CLIP
from limner.models.extractor import Extractor
from limner.models.stir import EmbeddingSTIR
from limner.search.embedder import Vectors
from limner.search.resident import nearest_cell, train_centroids

__all__ = ["PictureEncoder", "gallery_vectors", "likeness_categories", "near_copies", "picture_vectors", "remembered"]

PictureEncoder = CLIP | Extractor | EmbeddingSTIR
"""The models that turn a picture into a vector by itself."""

Numbers = Int[np.ndarray, " items"]

_PICTURES_AT_ONCE = 64


@torch.inference_mode()
def picture_vectors(model: PictureEncoder, pictures: Sequence[Image.Image]) -> Vectors:
    """Return a unit vector for each of at least one picture."""
    size = model.config.vision.image_size
    batches = (pictures[start : start + _PICTURES_AT_ONCE] for start in range(0, len(pictures), _PICTURES_AT_ONCE))
    return torch.cat([model.encode_images(stack_images(batch, size)) for batch in batches]).numpy()


def gallery_vectors(model: PictureEncoder, loader: CaptionedLoader) -> Vectors:
    """Return a unit vector for every training picture, as it is when nothing is changed at random."""
    return np.concatenate([picture_vectors(model, pictures) for pictures in _pictures(loader)])


def likeness_categories(vectors: Vectors, concepts: Sequence[int], num_categories: int) -> Numbers:
    """Return the category of each picture: concepts are grouped by spherical k-means over their mean vectors."""
    numbers = np.unique(np.array(concepts), return_inverse=True)[1]
    means = np.zeros((numbers.max() + 1, vectors.shape[1]), dtype=np.float32)
    np.add.at(means, numbers, vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    centroids = train_centroids(means, min(num_categories, len(means)))
    return nearest_cell(means, centroids)[numbers]


def near_copies(loader: CaptionedLoader) -> Numbers:
    """Return a number for each training picture that pictures which look the same at 16 x 16 pixels share."""
    thumbnails = [thumbnail(picture) for pictures in _pictures(loader) for picture in pictures]
    numbers = np.arange(len(thumbnails))
    for group in near_duplicates(thumbnails):
        numbers[group] = group[0]
    return numbers


def _pictures(loader: CaptionedLoader) -> Iterator[list[Image.Image]]:
    for start in range(0, len(loader), _PICTURES_AT_ONCE):
        items = range(start, min(start + _PICTURES_AT_ONCE, len(loader)))
        yield [Image.fromarray(pixels) for pixels in loader.pixels(items)]


def remembered(path: Path, work_out: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return what the file holds; where there is none, work it out and write it, whole or not at all.

    Raises:
        TrainingError: if the file is damaged.
    """
    if not path.is_file():
        found = work_out()
        partial = path.with_name(path.name + ".partial")
        save_file(found, partial)
        partial.replace(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); remove it to have it worked out again") from None
