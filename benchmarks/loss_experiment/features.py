"""What the frozen towers say, computed once: EfficientNet-Lite0 of pictures, MiniLM of texts."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from limner.data.augmentation import AugmentationConfig, augment
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from limner.data.pixels import stack_images
from limner.interop.efficientnet import load_efficientnet_lite0
from limner.interop.sentence_teacher import SentenceTeacher
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualTrunk

__all__ = ["IMAGE_SIZE", "PLAIN", "picture_features", "text_features"]

IMAGE_SIZE = 80
PLAIN = 0
"""The view of a picture as it is; every other number is an augmentation of that seed."""
_BATCH_SIZE = 64


def picture_features(pictures: PictureSet, rows: Sequence[int], view: int, folder: Path) -> torch.Tensor:
    """Return the features of the pictures at `rows`, float16, from disk if they have been computed before."""
    path = folder / f"pictures-{IMAGE_SIZE}-{view}-{_digest(map(str, rows))}.npy"
    if not path.exists():
        _save(path, _look(pictures, rows, view))
    return torch.from_numpy(np.load(path))


def text_features(texts: Sequence[str], folder: Path) -> torch.Tensor:
    """Return a unit vector a text, from disk if they have been computed before."""
    path = folder / f"texts-{_digest(texts)}.npy"
    if not path.exists():
        print(f"MiniLM reads {len(texts):,} texts", flush=True)
        _save(path, SentenceTeacher().embed(texts))
    return torch.from_numpy(np.load(path))


@torch.inference_mode()
def _look(pictures: PictureSet, rows: Sequence[int], view: int) -> np.ndarray:
    trunk = InvertedResidualTrunk(InvertedResidualConfig(image_size=IMAGE_SIZE))
    load_efficientnet_lite0(trunk)
    trunk = trunk.eval().to(memory_format=torch.channels_last)
    features = np.zeros((len(rows), trunk.feature_dim), dtype=np.float16)
    for start in range(0, len(rows), _BATCH_SIZE):
        part = rows[start : start + _BATCH_SIZE]
        decoded = [decode_picture(data, at_least=IMAGE_SIZE) for data in pictures.pictures(part)]
        images = stack_images(decoded, IMAGE_SIZE)
        if view != PLAIN:
            images = augment(images, [(view, row) for row in part], AugmentationConfig())
        features[start : start + len(part)] = trunk(images.to(memory_format=torch.channels_last)).numpy()
        if start % (16 * _BATCH_SIZE) == 0:
            print(f"EfficientNet-Lite0, view {view}: {start:,} of {len(rows):,} pictures", flush=True)
    return features


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)


def _digest(names: Sequence[str] | map) -> str:
    return f"{zlib.crc32(chr(10).join(names).encode()):08x}"
