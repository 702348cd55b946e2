"""`limner caption`: say what pictures show."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import note, note_skipped, one_line, print_json
from limner.cli.options import AsJson, Drawer, Seed
from limner.errors import UsageError
from limner.generation.defaults import DRAWER

__all__ = ["caption"]


def caption(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.")],
    by: Annotated[
        str, typer.Option("--with", help="What says it: dalle, which judges texts by how likely it draws.")
    ] = ("dalle"),
    texts: Annotated[
        Path | None, typer.Option(help="A file of candidates, one a line; without it, texts that the model makes up.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many texts the model makes up.")] = 64,
    top: Annotated[int, typer.Option(min=1, help="How many captions a picture gets.")] = 3,
    model: Drawer = DRAWER,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Print the most probable texts of each picture, by Bayes' rule from how a DALL-E says texts and draws pictures.

    A file that is not a picture is skipped and named.
    """
    from limner.cli.progress import progress_bar
    from limner.generation.drawer import load_drawer
    from limner.services.captioning import caption_pictures, read_texts

    if by != "dalle":
        raise UsageError(f"unknown way to caption '{by}'; known: dalle")
    candidates = read_texts(texts) if texts else None
    drawer = load_drawer(model)
    with progress_bar("Reading the pictures", "pictures") as report:
        found = caption_pictures(
            drawer, pictures, candidates, num_sampled=count, top=top, seed=seed, report=report, say=note
        )
    note_skipped(found.skipped)
    if as_json:
        print_json(found.to_json())
        return
    for each in found.pictures:
        said = ", ".join(f"{caption.text} {caption.probability:.0%}" for caption in each.captions)
        typer.echo(one_line(f"{each.path}: {said}"))
