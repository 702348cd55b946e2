"""What frozen models say of a set: computed once, kept in the run's folder, and made again when any of them changes."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Num

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
        table.write(number, _coded(dvae, speaker, loader, items, num_views))
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


@torch.inference_mode()
def _coded(
    dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, items: range, num_views: int
) -> CodedPictures:
    codes, embeddings = [], []
    for batch in _batches(items):
        for view in range(num_views):
            images = loader.view(batch, view, num_views)
            codes.append(dvae.codes(images).flatten(1).to(torch.int32).numpy())
            if speaker is not None:
                embeddings.append(speaker.embed_pictures(pictures_of(images)))
    return CodedPictures(_by_item(codes, num_views), _by_item(embeddings, num_views) if embeddings else None)


def _by_item(parts: list[Num[np.ndarray, "_ dim"]], num_views: int) -> Num[np.ndarray, "items views dim"]:
    """Return what was found batch by batch, and view by view in each, with an axis of views."""
    batches = [np.stack(parts[start : start + num_views], axis=1) for start in range(0, len(parts), num_views)]
    return np.concatenate(batches)


def _batches(items: range) -> Iterator[range]:
    for start in range(items.start, items.stop, _BATCH_SIZE):
        yield range(start, min(start + _BATCH_SIZE, items.stop))


def _digest(dvae: DVAE, speaker: Embedder | None, loader: CaptionedLoader, num_views: int) -> str:
    """Name weights, pictures and views."""
    digest = hashlib.sha256(b"" if speaker is None else speaker.fingerprint.encode())
    for name, tensor in sorted(dvae.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    views = to_dict(replace(loader.config, batch_size=1, num_threads=0, num_ahead=0)) if num_views > 1 else {}
    has_tints = num_views > 1 and loader.config.tint_rate > 0
    tintable = [item for item in range(len(loader)) if has_tints and loader.captions.takes_a_tint(item)]
    digest.update(json.dumps([to_dict(dvae.config), num_views, views, tintable]).encode())
    for which, pictures in enumerate(loader.pictures.sets):
        rows = [row for set_number, row in loader.captions.places if set_number == which]
        for start in range(0, len(rows), _BATCH_SIZE):
            for picture in pictures.pictures(rows[start : start + _BATCH_SIZE]):
                digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:16]
