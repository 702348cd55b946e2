"""`limner evaluate`: how well a model finds the pictures of a set by their captions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, print_json
from limner.cli.options import AsJson
from limner.errors import UsageError

if TYPE_CHECKING:
    from limner.services.evaluating import Estimate, Evaluation

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
            help="A test of the built-in sets: U unseen concepts, S unseen style, C clip art, D drawings by drawings."
        ),
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(help="A model that orders the best pictures anew; with --protocol D, such as STIR.")
    ] = None,
    depth: Annotated[int, typer.Option(help="How many of the best pictures --rerank looks at.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """Print R@k, MRR, mAP and nDCG of text to picture and picture to text, with 95 % intervals.

    A set with classes also gets its zero-shot accuracy; drawings asked by drawings get the figures of metric learning.
    With --rerank, those of both stages. Pictures that cannot be decoded are left out and counted.
    """
    from limner.cli.progress import progress_bar
    from limner.services.evaluating import DrawingEvaluation, evaluate_drawings, evaluate_model

    if protocol == "D" and (split or language):
        raise UsageError("the protocol D asks with pictures it chooses itself; leave out --split and --language")
    with progress_bar("Looking at the pictures", "pictures") as report:
        found: Evaluation | DrawingEvaluation = (
            evaluate_drawings(model, picture_set, rerank=rerank, depth=depth, report=report)
            if protocol == "D"
            else evaluate_model(
                model,
                picture_set,
                split=split,
                language=language,
                protocol=protocol,
                rerank=rerank,
                depth=depth,
                report=report,
            )
        )
    if found.skipped:
        note(f"{found.skipped:,} pictures could not be decoded; `limner data check {picture_set}` names them")
    if as_json:
        print_json(found.to_json())
    else:
        title = f"{found.model} on {found.picture_set}, {found.split}"
        again = found.reranked if isinstance(found, DrawingEvaluation) else None
        if isinstance(found, DrawingEvaluation) and again is not None:
            title += f", the best {again.depth} re-ranked by {again.model}"
            _print_table(found.columns(), title, "")
            _print_table(found.family_columns(), "By the family that asks", found.describe(), is_turned=True)
        else:
            _print_table(found.columns(), title, found.describe())


def _print_table(
    columns: "Mapping[str, Mapping[str, Estimate]]", title: str, caption: str, *, is_turned: bool = False
) -> None:
    """Print figures by column and row, or with `is_turned` by row and column."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    names = list(next(iter(columns.values())))
    table = Table(title=escape(title), caption=caption)
    table.add_column("")
    for head in names if is_turned else columns:
        table.add_column(escape(head), justify="right")
    if is_turned:
        for row, figures in columns.items():
            table.add_row(escape(row), *(_percent(figures[name]) for name in names))
    else:
        for name in names:
            table.add_row(name, *(_percent(figures[name]) for figures in columns.values()))
    Console().print(table)


def _percent(figure: "Estimate") -> str:
    return f"{100 * figure.mean:.1f}  ({100 * figure.low:.1f} – {100 * figure.high:.1f})"
