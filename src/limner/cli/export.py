"""`limner export`: a run's best weights as a folder of their own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import print_json
from limner.cli.options import AsJson

__all__ = ["export"]


def export(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or a shipped model's name.")],
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    float32: Annotated[bool, typer.Option("--float32", help="Keep all digits; the files are twice as large.")] = False,
    shared_with: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Leave out the weights that equal those of this shipped model."),
    ] = None,
    only_pictures: Annotated[
        bool, typer.Option("--only-pictures", help="Of a CLIP keep the image tower alone: an extractor.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the weights, config and tokenizer of a model into a folder, in half precision."""
    from limner.services.exporting import export_model

    done = export_model(model, out, half=not float32, shared_with=shared_with, only_pictures=only_pictures)
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(f"{done.folder}: {done.num_parameters:,} parameters, {done.size_bytes / 1e6:.1f} MB")
