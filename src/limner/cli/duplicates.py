"""`limner duplicates`: pictures of a collection that show the same thing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, note_skipped, one_line, print_json
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.likeness import Duplicates

__all__ = ["duplicates"]


def duplicates(
    collection: Annotated[Path, typer.Argument(help="A collection of `limner index`.")],
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Pictures whose cosine is at least this are alike.")
    ] = 0.95,
    sheet: Annotated[Path | None, typer.Option(help="Draw the groups, at most 120 pictures, in this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print groups of near copies, and of pictures that the collection's model takes for the same thing.

    Nothing is changed. A picture that is gone or broken is named; it can still be alike to others.
    """
    from limner.cli.progress import progress_bar
    from limner.services.likeness import check_sheet, draw_groups, find_duplicates

    if sheet:
        check_sheet(sheet)
    with progress_bar("Looking at the pictures", "pictures") as report:
        found = find_duplicates(collection, threshold=threshold, report=report)
    note_skipped(found.skipped)
    if sheet:
        draw_groups(found, sheet)
        note(f"wrote {sheet}")
    if as_json:
        print_json(found.to_json())
    else:
        _print_table(found)


def _print_table(found: "Duplicates") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not found.groups:
        typer.echo(f"none of {found.num_pictures:,} pictures is like another")
        return
    table = Table()
    for column in ("group", "kind", "cosine", "picture"):
        table.add_column(column, overflow="fold", justify="left" if column in ("kind", "picture") else "right")
    for number, group in enumerate(found.groups, start=1):
        for hit in group.pictures:
            table.add_row(str(number), group.kind, f"{hit.score:.3f}", escape(one_line(hit.path)))
        table.add_section()
    Console().print(table)
