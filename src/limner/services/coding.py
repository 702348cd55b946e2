"""What frozen models say of a set: computed once, kept in the run's folder, and made again when any of them changes."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int32

from limner.config import to_dict
from limner.data.codes import CodedPictures, CodeTable
from limner.data.loader import CaptionedLoader
from limner.data.pixels import pictures_of
from limner.data.progress import Report, Say
from limner.models.dvae import DVAE
from limner.search.embedder import Embedder, Vectors

__all__ = ["code_pictures", "moved_towards"]

_BATCH_SIZE = 128


def code_pictures(
    dvae: DVAE,
    speaker: Embedder | None,
    loader: CaptionedLoader,
    folder: Path,
    *,
    num_views: int,
    report: Report,
    say: Say,
) -> CodedPictures:
    """Return the codes of `num_views` views of every picture of a loader (`CaptionedLoader.view`).

    If there is a CLIP that speaks, also its embedding of every view. A killed encoding goes on where it stopped.
    """
    name = _digest(dvae, speaker, loader, num_views)
    table = CodeTable(folder / name, num_items=len(loader))
    missing = list(table.missing())
    if missing:
        say(f"encoding {sum(len(items) for _, items in missing):,} pictures, {num_views} views each")
    for number, items in missing:
        report(items.start, len(loader), "pictures encoded")
        views = [_coded(dvae, speaker, loader, items, view, num_views) for view in range(num_views)]
        embeddings = [view.embeddings for view in views if view.embeddings is not None]
        codes = np.stack([view.codes for view in views], axis=1)
        table.write(number, CodedPictures(codes, np.stack(embeddings, axis=1) if embeddings else None))
    for other in folder.iterdir():
        if other.name != name:
            shutil.rmtree(other)
    return table.read()


def moved_towards(
    embeddings: Float32[np.ndarray, "*items embed_dim"], others: Vectors
) -> Float32[np.ndarray, "*items embed_dim"]:
    """Return unit embeddings moved to lie about where others do, as a CLIP's of pictures to where its texts are."""
    moved = embeddings - embeddings.mean(axis=tuple(range(embeddings.ndim - 1))) + others.mean(axis=0)
    return moved / np.linalg.norm(moved, axis=-1, keepdims=True)


class _View(NamedTuple):
    """One view of some pictures, as codes and, where a CLIP says what they show, its embeddings."""

    codes: Int32[np.ndarray, "items places"]
    embeddings: Float32[np.ndarray, "items embed_dim"] | None


@torch.inference_mode()
def _coded(
    dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, items: range, view: int, num_views: int
) -> _View:
    codes, embeddings = [], []
    for batch in _batches(items):
        images = loader.view(batch, view, num_views)
        codes.append(dvae.codes(images).flatten(1).to(torch.int32).numpy())
        if speaker is not None:
            embeddings.append(speaker.embed_pictures(pictures_of(images)))
    return _View(np.concatenate(codes), np.concatenate(embeddings) if embeddings else None)


def _batches(items: range) -> Iterator[range]:
    for start in range(items.start, items.stop, _BATCH_SIZE):
        yield range(start, min(start + _BATCH_SIZE, items.stop))


def _digest(dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, num_views: int) -> str:
    """Name weights, pictures and views."""
    digest = hashlib.sha256(b"" if speaker is None else speaker.fingerprint.encode())
    for name, tensor in sorted(dvae.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    views = to_dict(replace(loader.config, batch_size=1, num_threads=0, num_ahead=0)) if num_views > 1 else {}
    tints = [loader.tint_of_view(item, view, num_views) for item in range(len(loader)) for view in range(num_views)]
    tinted = [number for number, tint in enumerate(tints) if tint is not None]
    digest.update(json.dumps([to_dict(dvae.config), num_views, views, tinted]).encode())
    for which, pictures in enumerate(loader.pictures.sets):
        rows = [row for set_number, row in loader.captions.places if set_number == which]
        for start in range(0, len(rows), _BATCH_SIZE):
            for picture in pictures.pictures(rows[start : start + _BATCH_SIZE]):
                digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:16]
