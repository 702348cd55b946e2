"""`limner calibrate`: teach a model how likely its scores are to be right."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import note, print_json
from limner.cli.options import AsJson
from limner.errors import UsageError

__all__ = ["calibrate"]


def calibrate(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or the name of a shipped model.")],
    data: Annotated[list[Path], typer.Option(help="A picture set whose held-out pictures tell; repeat for several.")],
    method: Annotated[
        str | None,
        typer.Option(help="isotonic, platt, or nce for models trained with that loss; chosen by the number of pairs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit how a model's scores become probabilities, for `limner search --min-relevance` and `limner classify`.

    Training does it at its end. The curves are kept in the model's folder, as numbers.
    """
    from limner.config import to_dict
    from limner.services import calibrating

    chosen = next((known for known in calibrating.METHODS if known == method), None)
    if method is not None and chosen is None:
        raise UsageError(f"unknown method '{method}'; known: {', '.join(calibrating.METHODS)}")
    found = calibrating.calibrate_model(model, data, method=chosen, say=note)
    if as_json:
        print_json(to_dict(replace(found, references="")))
    else:
        for sentence in calibrating.describe(found):
            note(sentence)
