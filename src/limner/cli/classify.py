"""`limner classify`: which of some labels fits a picture best."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, note_skipped, one_line, print_json
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.classifying import Classification

__all__ = ["classify"]


def classify(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.")],
    labels: Annotated[str, typer.Option(help="The labels: a,b,c, or @FILE with one a line.")],
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts, one a line, with {} where the label goes.")
    ] = None,
    model: Annotated[str, typer.Option(help="A run or model folder, or the name of a shipped model.")] = "pictograms",
    as_json: AsJson = False,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet with the labels into this file.")] = None,
) -> None:
    """Print the probability of each label for each picture, without training on the labels.

    A file that is not a picture is skipped and named.
    """
    from limner.cli.progress import progress_bar
    from limner.services.classifying import check_sheet, classify_pictures, draw_sheet, read_labels, read_prompts

    if sheet:
        check_sheet(sheet)
    with progress_bar("Looking at the pictures", "pictures") as report:
        found = classify_pictures(
            model,
            pictures,
            read_labels(labels),
            templates=read_prompts(prompts) if prompts else None,
            report=report,
        )
    note_skipped(found.skipped)
    if sheet:
        draw_sheet(found, sheet)
        note(f"wrote {sheet}")
    if as_json:
        print_json(found.to_json())
    else:
        _print_table(found)


def _print_table(found: "Classification") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("picture", overflow="fold")
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("then")
    for entry in found.pictures:
        ranked = sorted(entry.probabilities.items(), key=lambda item: -item[1])
        rest = ", ".join(f"{label} {probability:.0%}" for label, probability in ranked[1:4])
        table.add_row(escape(one_line(str(entry.path))), escape(entry.label), f"{ranked[0][1]:.1%}", escape(rest))
    Console().print(table)
