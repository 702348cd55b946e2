"""What frozen models say of a set: computed once, kept in the run's folder, and made again when any of them changes."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from limner.config import to_dict
from limner.data.augmentation import augment
from limner.data.codes import CodedPictures, CodeTable
from limner.data.loader import CaptionedLoader
from limner.data.pixels import images_of, pictures_of
from limner.data.progress import Say
from limner.models.dvae import DVAE
from limner.search.embedder import Embedder, Vectors

__all__ = ["code_pictures", "moved_towards"]

_STREAM = 1 << 40
_BATCH_SIZE = 128


def code_pictures(
    dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, folder: Path, *, num_views: int, say: Say
) -> CodedPictures:
    """Return the codes of every picture of a loader: as it is, and in `num_views - 1` views changed at random.

    If there is a CLIP that speaks, also its embedding of every picture as it is. A killed encoding goes on where it
    stopped.
    """
    name = _digest(dvae, speaker, loader, num_views)
    table = CodeTable(folder / name, num_items=len(loader))
    missing = list(table.missing())
    if missing:
        say(f"encoding {sum(len(items) for _, items in missing):,} pictures, {num_views} views each")
    for number, items in missing:
        codes = np.stack([_view(dvae, loader, items, view, num_views) for view in range(num_views)], axis=1)
        table.write(number, CodedPictures(codes, None if speaker is None else _shown(speaker, loader, items)))
    for other in folder.iterdir():
        if other.name != name:
            shutil.rmtree(other)
    return table.read()


def moved_towards(embeddings: Vectors, others: Vectors) -> Vectors:
    """Return unit embeddings moved to lie about where others do, as a CLIP's of pictures to where its texts are."""
    moved = embeddings - embeddings.mean(axis=0) + others.mean(axis=0)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@torch.inference_mode()
def _view(dvae: DVAE, loader: CaptionedLoader, items: range, view: int, num_views: int) -> np.ndarray:
    found = []
    for batch in _batches(items):
        images = images_of(loader.pixels(batch))
        if view:
            seeds = [(loader.config.seed, _STREAM + item * num_views + view) for item in batch]
            images = augment(images, seeds, loader.config.augmentation)
        found.append(dvae.codes(images).flatten(1).to(torch.int32).numpy())
    return np.concatenate(found)


def _shown(speaker: Embedder, loader: CaptionedLoader, items: range) -> Vectors:
    """Return the embeddings of pictures as large as the dVAE sees them."""
    return np.concatenate(
        [speaker.embed_pictures(pictures_of(images_of(loader.pixels(batch)))) for batch in _batches(items)]
    )


def _batches(items: range) -> Iterator[range]:
    for start in range(items.start, items.stop, _BATCH_SIZE):
        yield range(start, min(start + _BATCH_SIZE, items.stop))


def _digest(dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, num_views: int) -> str:
    """Name weights, pictures and views."""
    digest = hashlib.sha256(b"" if speaker is None else speaker.fingerprint.encode())
    for name, tensor in sorted(dvae.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    views = to_dict(replace(loader.config, batch_size=1, num_threads=0, num_ahead=0)) if num_views > 1 else {}
    digest.update(json.dumps([to_dict(dvae.config), num_views, views]).encode())
    for which, pictures in enumerate(loader.pictures.sets):
        rows = [row for set_number, row in loader.captions.places if set_number == which]
        for start in range(0, len(rows), _BATCH_SIZE):
            for picture in pictures.pictures(rows[start : start + _BATCH_SIZE]):
                digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:16]
