"""`limner demo`: real pictures, found by words and by picture with the shipped weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note

if TYPE_CHECKING:
    from limner.services.demo import Answer, Guess

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Where the pictures, the collection and the page are left.")] = Path("demo"),
) -> None:
    """Build a small set of real pictures, search it by words, by picture and by both, and leave OUT/report.html.

    The drawings come from npm packages, so the first run needs npm's registry; later runs reuse them.
    """
    from limner.cli.progress import progress_bar
    from limner.services.demo import run_demo

    with progress_bar("Pictures", "pictures") as report:
        found = run_demo(out, report=report, say=note)
    for answer in found.answers:
        _print_answer(answer)
    _print_guesses(found.guesses)
    note(f"searched {found.num_pictures:,} pictures; the page with the pictures is {found.page}")


def _print_answer(answer: "Answer") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    asked = f" ({answer.asked.name})" if answer.asked else ""
    table = Table(title=escape(f"{answer.query}{asked}"), title_justify="left", box=None, padding=(0, 2))
    for column in ("", "score", "caption", "file"):
        table.add_column(column, justify="right" if column in ("", "score") else "left")
    for hit in answer.hits[:5]:
        table.add_row(str(hit.rank), f"{hit.score:.3f}", escape(hit.caption), escape(Path(hit.path).name))
    Console().print(table, "")


def _print_guesses(guesses: "tuple[Guess, ...]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="what is it?", title_justify="left", box=None, padding=(0, 2))
    for column in ("file", "label", "probability"):
        table.add_column(column)
    for guess in guesses:
        table.add_row(escape(guess.path.name), escape(guess.label), f"{guess.probability:.0%}")
    Console().print(table)
