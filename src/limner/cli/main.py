"""The command `limner`: one line per command, each in its own module."""

import sys

import typer

from limner.cli import (
    calibrate,
    caption,
    classify,
    complete,
    convert,
    data,
    demo,
    draw,
    duplicates,
    evaluate,
    export,
    index,
    info,
    reconstruct,
    search,
    train,
)
from limner.cli.console import run

__all__ = ["app", "main"]

app = typer.Typer(
    name="limner",
    help="Find it, or draw it: search, classify and complete a collection of pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("reconstruct")(reconstruct.reconstruct)
app.command("calibrate")(calibrate.calibrate)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("info")(info.info)
app.command("duplicates")(duplicates.duplicates)
app.command("draw")(draw.draw)
app.command("complete")(complete.complete)
app.command("caption")(caption.caption)
app.command("classify")(classify.classify)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("convert")(convert.convert)
app.command("demo")(demo.demo)


def main() -> None:
    """Run `limner` and leave with its exit status."""
    sys.exit(run(app))
