"""`limner index`: pictures become a collection that can be searched, and stay in step with it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, print_json
from limner.cli.options import AsJson

if TYPE_CHECKING:
    from limner.services.indexing import Progress, SyncReport

__all__ = ["index"]

_MOST_NAMED = 20


def index(
    to: Annotated[Path, typer.Option(help="The collection's folder; made when there is none.")],
    pictures: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, files, patterns and picture sets; without any, those named before."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model or run folder, or a shipped model's name [default: pictograms].")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="A CSV file with a column 'path'; its other columns can be asked for in --where."),
    ] = None,
    reranker: Annotated[
        list[str] | None,
        typer.Option(help="Keep what this model of `limner train ranking` needs for `limner search --rerank`."),
    ] = None,
    reindex: Annotated[
        bool, typer.Option("--reindex", help="Embed all pictures anew, as for another --model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a collection of pictures, or bring one in step: new, changed, renamed and deleted pictures.

    Pictures that cannot be read are skipped and named. What is reported as saved survives a kill; run the same command
    again to go on.
    """
    from limner.services.indexing import index_pictures

    with _progress(as_json) as progress:
        report = index_pictures(
            pictures or [],
            to,
            model=model,
            metadata=metadata,
            rerankers=reranker or (),
            anew=reindex,
            progress=progress,
        )
    if as_json:
        print_json({"collection": str(to), **asdict(report)})
        return
    _print_report(report, to)


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[["Progress"], None]]:
    if sys.stderr.isatty() and not as_json:
        from limner.cli.progress import progress_bar

        with progress_bar("Indexing", "pictures") as report:
            yield lambda progress: report(progress.saved, progress.total, "")
    else:
        yield lambda progress: note(f"saved {progress.saved} of {progress.total} pictures")


def _print_report(report: "SyncReport", to: Path) -> None:
    for skipped in report.skipped[:_MOST_NAMED]:
        note(f"skipped {skipped.path}: {skipped.reason}")
    if len(report.skipped) > _MOST_NAMED:
        note(f"skipped {len(report.skipped) - _MOST_NAMED} more; `limner info {to} --json` names them")
    parts = ("added", "changed", "renamed", "updated", "deleted", "unchanged")
    counts = ", ".join(f"{getattr(report, name)} {name}" for name in parts if getattr(report, name))
    typer.echo(f"{to}: {report.num_pictures} pictures ({counts or 'nothing to do'})")
