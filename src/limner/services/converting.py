"""Checkpoints of other projects become model folders."""

from dataclasses import dataclass
from pathlib import Path

from limner.errors import UsageError
from limner.interop.open_metric_learning import model_of_oml, read_oml_checkpoint
from limner.models.checkpoints import new_folder, save_model

__all__ = ["Converted", "convert_checkpoint"]


@dataclass(frozen=True, kw_only=True)
class Converted:
    """Where a model went, its kind, the side of its pictures in pixels, and how many parameters it has."""

    folder: str
    kind: str
    image_size: int
    num_parameters: int


def convert_checkpoint(checkpoint: Path, out: Path) -> Converted:
    """Write the model of a checkpoint of Open Metric Learning into the new folder `out`.

    Raises:
        UsageError: if something is at `out` already.
        ModelError: if the checkpoint cannot be read safely, or holds no model that we have.
    """
    if out.exists():
        raise UsageError(f"{out} exists; name a new folder")
    model = model_of_oml(read_oml_checkpoint(checkpoint))
    with new_folder(out) as draft:
        save_model(draft, model)
    return Converted(
        folder=str(out),
        kind=model.config.kind,
        image_size=model.config.vision.image_size,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
