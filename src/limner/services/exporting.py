"""A run's best weights as a model folder of their own, to keep, to copy or to ship."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from limner.errors import UsageError
from limner.generation.drawer import DVAE_FOLDER, drawer_of
from limner.models.checkpoints import SHIPPED, load_model, new_folder, resolve, save_model
from limner.models.clip import CLIP
from limner.models.dalle import DALLE
from limner.models.dvae import DVAE
from limner.models.extractor import extractor_of
from limner.search.calibrate import read_calibration, write_calibration
from limner.search.embedder import fingerprint_of, tokenizer_of

__all__ = ["Exported", "export_model"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Where a model went, how many parameters it has and how many bytes its files have."""

    folder: str
    num_parameters: int
    size_bytes: int


def export_model(
    model: str, out: Path, *, half: bool = True, shared_with: str | None = None, only_pictures: bool = False
) -> Exported:
    """Write a model into `out`, in float16 unless asked not to, with its calibration if it has one.

    Weights that equal those of the shipped model `shared_with` are left out, and read from there; of a DALL-E, those of
    its dVAE where that is what is shared with. With `only_pictures` a CLIP leaves its words behind and becomes an
    extractor.

    Raises:
        UsageError: if something is at `out` already, `shared_with` is not shipped, or what is to keep only its pictures
            is no CLIP.
        ModelError: if there is no such model, or it shares no weights.
    """
    if out.exists():
        raise UsageError(f"{out} exists; name a new folder")
    if shared_with is not None and shared_with not in SHIPPED:
        raise UsageError(f"'{shared_with}' is not a shipped model; known: {', '.join(SHIPPED)}")
    folder = resolve(model)
    loaded: nn.Module = load_model(folder)
    tokenizer = calibration = dvae = None
    if isinstance(loaded, DALLE):
        drawer = drawer_of(loaded, folder, name=model)
        tokenizer, dvae = drawer.tokenizer, drawer.dvae
    elif not isinstance(loaded, DVAE):
        tokenizer = tokenizer_of(loaded, folder)
        calibration = read_calibration(folder, fingerprint_of(folder, tokenizer))
    if only_pictures:
        if not isinstance(loaded, CLIP):
            raise UsageError(f"{model} is a {type(loaded).__name__} and not a CLIP, whose pictures could be kept alone")
        loaded, tokenizer = extractor_of(loaded), None
        calibration = None if calibration is None else replace(calibration, text=None)
    is_of_dvae = dvae is not None and shared_with is not None and isinstance(load_model(shared_with), DVAE)
    dtype = torch.float16 if half else torch.float32
    with new_folder(out) as draft:
        if tokenizer is not None:
            tokenizer.save(draft)
        save_model(draft, loaded, dtype=dtype, shared_with=None if is_of_dvae else shared_with)
        if dvae is not None:
            save_model(draft / DVAE_FOLDER, dvae, dtype=dtype, shared_with=shared_with if is_of_dvae else None)
        if calibration is not None:  # rounding moves scores by less than a curve can tell
            write_calibration(draft, replace(calibration, fingerprint=fingerprint_of(draft, tokenizer)))
    num_parameters = _count(loaded) + (0 if dvae is None else _count(dvae))
    return Exported(
        folder=str(out),
        num_parameters=num_parameters,
        size_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
    )


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
