"""A run's best weights as a model folder of their own, to keep, to copy or to ship."""

from dataclasses import dataclass
from pathlib import Path

import torch

from limner.data.tokenizer import Tokenizer
from limner.errors import UsageError
from limner.models.checkpoints import load_model, resolve, save_model

__all__ = ["Exported", "export_model"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Where a model went, how many parameters it has and how many bytes its files have."""

    folder: str
    num_parameters: int
    size_bytes: int


def export_model(model: str, out: Path, *, half: bool = True) -> Exported:
    """Write a model into `out`, in float16 unless asked not to.

    Raises:
        UsageError: if something is at `out` already.
        ModelError: if there is no such model.
    """
    if out.exists():
        raise UsageError(f"{out} exists; name a new folder")
    folder = resolve(model)
    loaded, tokenizer = load_model(folder), Tokenizer.load(folder)
    tokenizer.save(out)
    save_model(out, loaded, dtype=torch.float16 if half else torch.float32)
    return Exported(
        folder=str(out),
        num_parameters=sum(parameter.numel() for parameter in loaded.parameters()),
        size_bytes=sum(path.stat().st_size for path in out.iterdir()),
    )
