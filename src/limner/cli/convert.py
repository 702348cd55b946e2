"""`limner convert`: another project's checkpoint as a model folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import print_json
from limner.cli.options import AsJson

__all__ = ["convert"]


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A .ckpt or .pth file of Open Metric Learning.")],
    out: Annotated[Path, typer.Argument(help="The new model folder.")],
    as_json: AsJson = False,
) -> None:
    """Turn a ViT extractor or a ConcatSiamese of Open Metric Learning into an extractor or a STIR of equal outputs.

    Nothing in the checkpoint is executed; one that holds more than weights is refused.
    """
    from limner.services.converting import convert_checkpoint

    done = convert_checkpoint(checkpoint, out)
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(f"{done.folder}: {done.kind}, {done.num_parameters:,} parameters, {done.image_size} pixels")
