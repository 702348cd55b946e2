"""`limner evaluate`: how well a model finds the pictures of a set by their captions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, print_json

if TYPE_CHECKING:
    from limner.services.evaluating import Evaluation

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or the name of a shipped model.")],
    picture_set: Annotated[Path, typer.Argument(metavar="SET", help="The picture set to judge it on.")],
    split: Annotated[
        str | None, typer.Option(help="test, validation, train or all; test by default, if the set has one.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Use the captions in this language, as in ru; English by default.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="A test of the built-in sets: U (unseen concepts), S (unseen style), C (clip art); V-U, V-C."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print R@k, MRR, mAP and nDCG of text to picture and picture to text, with 95 % intervals.

    A set with classes also gets its zero-shot accuracy. Pictures that cannot be decoded are left out and counted.
    """
    from limner.cli.progress import progress_bar
    from limner.services.evaluating import evaluate_model

    with progress_bar("Looking at the pictures", "pictures") as report:
        found = evaluate_model(model, picture_set, split=split, language=language, protocol=protocol, report=report)
    if found.skipped:
        note(f"{found.skipped:,} pictures could not be decoded; `limner data check {picture_set}` names them")
    if as_json:
        print_json(found.to_json())
    else:
        _print_table(found)


def _print_table(found: "Evaluation") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    languages = ", ".join(language or "unknown" for language in found.languages)
    table = Table(
        title=escape(f"{found.model} on {found.picture_set}, {found.split}"),
        caption=f"{found.num_pictures:,} pictures of {found.num_concepts:,} concepts, "
        f"{found.num_captions:,} captions ({languages}); percent, with 95 % intervals",
    )
    table.add_column("")
    table.add_column("text → picture", justify="right")
    table.add_column("picture → text", justify="right")
    for name, figure in found.retrieval.text_to_picture.items():
        other = found.retrieval.picture_to_text[name]
        table.add_row(name, _percent(figure.mean, figure.low, figure.high), _percent(other.mean, other.low, other.high))
    console = Console()
    console.print(table)
    if found.zero_shot:
        console.print("zero-shot accuracy " + _percent(found.zero_shot.mean, found.zero_shot.low, found.zero_shot.high))


def _percent(mean: float, low: float, high: float) -> str:
    return f"{100 * mean:.1f}  ({100 * low:.1f} – {100 * high:.1f})"
