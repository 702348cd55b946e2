"""What a frozen dVAE says of a set: computed once, kept in the run's folder, and made again when either changes."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from limner.config import to_dict
from limner.data.augmentation import augment
from limner.data.codes import CodeRows, CodeTable
from limner.data.loader import CaptionedLoader
from limner.data.pixels import images_of
from limner.data.progress import Say
from limner.models.dvae import DVAE

__all__ = ["code_rows"]

_STREAM = 1 << 40
_BATCH_SIZE = 128


def code_rows(dvae: DVAE, loader: CaptionedLoader, folder: Path, *, num_views: int, say: Say) -> CodeRows:
    """Return the codes of every picture of a loader: as it is, and in `num_views - 1` views changed at random.

    A killed encoding goes on where it stopped.
    """
    name = _digest(dvae, loader, num_views)
    table = CodeTable(folder / name, num_items=len(loader))
    missing = list(table.missing())
    if missing:
        say(f"encoding {sum(len(items) for _, items in missing):,} pictures, {num_views} views each")
    for number, items in missing:
        table.write(
            number, np.stack([_view(dvae, loader, items, view, num_views) for view in range(num_views)], axis=1)
        )
    for other in folder.iterdir():
        if other.name != name:
            shutil.rmtree(other)
    return table.read()


@torch.inference_mode()
def _view(dvae: DVAE, loader: CaptionedLoader, items: range, view: int, num_views: int) -> np.ndarray:
    found = []
    for start in range(items.start, items.stop, _BATCH_SIZE):
        batch = range(start, min(start + _BATCH_SIZE, items.stop))
        images = images_of([loader.pixels(item) for item in batch])
        if view:
            seeds = [(loader.config.seed, _STREAM + item * num_views + view) for item in batch]
            images = augment(images, seeds, loader.config.augmentation)
        found.append(dvae.codes(images).flatten(1).to(torch.int32).numpy())
    return np.concatenate(found)


def _digest(dvae: DVAE, loader: CaptionedLoader, num_views: int) -> str:
    """Name weights, pictures and views."""
    digest = hashlib.sha256()
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
