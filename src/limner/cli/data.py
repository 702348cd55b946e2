"""`limner data`: make picture sets, look into them, check them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.console import note, print_json
from limner.cli.data_get import get
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.checking import Check
    from limner.services.importing import Import
    from limner.services.picture_sets import Sample, Summary

__all__ = ["app", "check", "import_", "show"]

app = typer.Typer(help="Make picture sets, look into them, check them.", no_args_is_help=True)
app.command("get")(get)

_MOST_NAMES = 10

Source = Annotated[
    str,
    typer.Argument(help="A folder, a CSV, TSV, JSON lines, Parquet or COCO JSON file, or tars (`{000..015}.tar`)."),
]
Pictures = Annotated[Path | None, typer.Option(help="The folder that relative paths of a table start from.")]
PictureColumn = Annotated[str, typer.Option(help="The column of a table that holds or names the pictures.")]
CaptionColumn = Annotated[list[str], typer.Option(help="A column of captions; may be given several times.")]
Language = Annotated[str, typer.Option(help="The language of captions that do not say theirs, such as en.")]
FromNames = Annotated[
    bool | None,
    typer.Option(
        "--captions-from-names/--no-captions-from-names",
        help="Caption pictures without side files by their file names (default: if no picture has a side file).",
    ),
]


@app.command("import")
def import_(
    source: Source,
    out: Annotated[Path, typer.Argument(help="Where the picture set will be.")],
    pictures: Pictures = None,
    picture_column: PictureColumn = "",
    caption_column: CaptionColumn = [],  # noqa: B006  typer copies it
    language: Language = "",
    from_names: FromNames = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the picture set at OUT.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a picture set of your own pictures and captions.

    Every picture is really decoded. Broken ones are left out, counted, and named in OUT.report.jsonl.
    """
    from limner.cli.progress import progress_bar
    from limner.services.importing import SourceOptions, import_source

    options = SourceOptions(
        pictures=pictures,
        picture_column=picture_column,
        caption_columns=tuple(caption_column),
        language=language,
        file_names=from_names,
    )
    with progress_bar("Importing", "pictures") as report:
        done = import_source(source, out, options, replace=replace, report=report)
    for text in done.notes:
        note(f"note: {text}")
    if as_json:
        print_json(done.__dict__)
    else:
        _print_import(done)


@app.command("show")
def show(
    pictures: Annotated[Path, typer.Argument(metavar="SET", help="A picture set.")],
    out: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this file.")] = None,
    count: Annotated[int, typer.Option(min=1, max=2000, help="How many pictures to draw at random.")] = 24,
    split: Annotated[list[str], typer.Option(help="Only pictures of this split; may be given several times.")] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="Another number shows other pictures.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Count what a picture set holds and show some of its pictures."""
    from limner.services.picture_sets import describe, sample, write_sheet

    summary = describe(pictures)
    found = sample(pictures, count=count, splits=split, seed=seed)
    if out:
        write_sheet(found, out)
        note(f"wrote {out}")
    if as_json:
        shown = [
            {"id": record.id, "captions": [caption.__dict__ for caption in record.captions], "split": record.split}
            for record in found.records
        ]
        print_json({**summary.to_json(), "sample": shown})
    else:
        _print_summary(summary, found)


@app.command("check")
def check(
    pictures: Annotated[str, typer.Argument(metavar="SET|SOURCE", help="A picture set, or what `import` takes.")],
    as_json: AsJson = False,
) -> None:
    """Report broken, tiny, duplicate and caption-less pictures of a picture set or a folder."""
    from limner.cli.progress import progress_bar
    from limner.services.checking import SourceOptions
    from limner.services.checking import check as check_pictures

    with progress_bar("Checking", "pictures") as report:
        found = check_pictures(pictures, SourceOptions(), report=report)
    for text in found.notes:
        note(f"note: {text}")
    if as_json:
        print_json(found.to_json())
    else:
        _print_check(found)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(show_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column == "pictures" else "left", overflow="fold")
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table)


def _listed(counts: dict[str, int]) -> str:
    from rich.markup import escape

    most = [f"{escape(name) or 'not said'} {count:,}" for name, count in list(counts.items())[:_MOST_NAMES]]
    return ", ".join(most) + (f" and {len(counts) - _MOST_NAMES} more" if len(counts) > _MOST_NAMES else "")


def _print_import(done: "Import") -> None:
    table = _table("", "pictures", "what")
    languages = f"{done.num_captions:,} captions (language: {_listed(done.languages)})"
    table.add_row("kept", f"{done.num_pictures:,}", languages)
    if done.num_without_captions:
        table.add_row("of these without captions", f"{done.num_without_captions:,}", "")
    for reason, count in sorted(done.rejected.items(), key=lambda item: -item[1]):
        table.add_row("left out", f"{count:,}", reason)
    _print(table)
    if done.report:
        note(f"{done.report} names what was left out")
    note(f"wrote {done.out}")


def _print_summary(summary: "Summary", found: "Sample") -> None:
    from rich.markup import escape

    table = _table("", "")
    table.add_row("pictures", f"{summary.num_pictures:,} ({summary.bytes / 2**20:,.1f} MiB)")
    table.add_row("captions", f"{summary.num_captions:,} (language: {_listed(summary.languages)})")
    table.add_row("concepts", f"{summary.num_concepts:,}")
    table.add_row("splits", _listed(summary.splits))
    table.add_row("sources", _listed(summary.sources))
    table.add_row("licences", _listed(summary.licences))
    _print(table)
    rows = _table("id", "size", "captions")
    for record in found.records[:_MOST_NAMES]:
        captions = " | ".join(escape(caption.text) for caption in record.captions[:3])
        rows.add_row(escape(record.id), f"{record.width} x {record.height}", captions)
    _print(rows)


def _print_check(found: "Check") -> None:
    from rich.markup import escape

    table = _table("", "pictures", "which")
    table.add_row("looked at", f"{found.num_pictures:,}", "")
    for title, named in (
        ("broken", [f"{name}: {reason}" for name, reason in found.broken.items()]),
        ("tiny", [f"{name}: {size}" for name, size in found.tiny.items()]),
        ("the same file", [" = ".join(group) for group in found.duplicates]),
        ("alike", [" ~ ".join(group) for group in found.near_duplicates]),
        ("without captions", found.without_captions),
    ):
        left = len(named) - _MOST_NAMES
        shown = [*named[:_MOST_NAMES], f"and {left} more"] if left > 0 else named
        table.add_row(title, f"{len(named):,}", escape("\n".join(shown)))
    _print(table)
