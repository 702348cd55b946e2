"""`limner reconstruct`: what a dVAE's codes keep of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, note_skipped, one_line, print_json
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.reconstructing import Reconstruction

__all__ = ["reconstruct"]


def reconstruct(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files, and folders of them.")],
    model: Annotated[
        str, typer.Option(help="A run or model folder of `limner train dvae`; default: the shipped one.")
    ] = "pictograms-dvae",
    sheet: Annotated[Path | None, typer.Option(help="Draw each picture beside what is left of it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send pictures through the codes of a dVAE, and print how alike they come back: PSNR and SSIM.

    A file that is not a picture is skipped and named.
    """
    from limner.cli.progress import progress_bar
    from limner.services.reconstructing import check_sheet, draw_sheet, reconstruct_pictures

    if sheet:
        check_sheet(sheet)
    with progress_bar("Reading the pictures", "pictures") as report:
        found = reconstruct_pictures(model, pictures, report=report)
    note_skipped(found.skipped)
    if sheet:
        draw_sheet(found, sheet)
        note(f"wrote {sheet}")
    if as_json:
        print_json(found.to_json())
    else:
        _print_table(found)


def _print_table(found: "Reconstruction") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("picture", overflow="fold")
    table.add_column("PSNR (dB)", justify="right")
    table.add_column("SSIM", justify="right")
    for entry in found.pictures:
        table.add_row(escape(one_line(str(entry.path))), f"{entry.psnr:.1f}", f"{entry.ssim:.3f}")
    if len(found.pictures) > 1:
        table.add_section()
        table.add_row("mean", f"{found.psnr:.1f}", f"{found.ssim:.3f}")
    Console().print(table)
