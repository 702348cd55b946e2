"""`limner train`: teach a model a picture set."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import note, parse_settings, print_json
from limner.errors import UsageError

__all__ = ["train"]

_USES = {"clip": "--model", "dalle": "`limner draw --model`:", "dvae": "`limner reconstruct --model`:"}


def train(
    recipe: Annotated[str, typer.Argument(help="The recipe, as in `limner train clip`.")] = "",
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A picture set to train on; repeat for several, or to read one more often."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the new run.")] = None,
    initial: Annotated[str | None, typer.Option("--from", help="Start from this model: fine-tuning.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: a.b=value.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run instead.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Train a model on picture sets; a killed run goes on with --resume and ends with the same weights.

    Started by torchrun, its processes share every batch: `torchrun --nproc-per-node 2 -m limner.cli train ...`.
    """
    from limner.cli.progress import progress_bar
    from limner.services.training import help_run, resume_run, start_run
    from limner.training.distributed import joined_ranks

    folder = resume or out
    if folder is None or (resume is None and not recipe):
        raise UsageError("give a recipe and --out RUN, or --resume RUN")
    with joined_ranks() as is_first:
        if not is_first:
            help_run(folder)
            return
        with progress_bar("Training", "steps") as report:
            if resume is not None:
                outcome = resume_run(resume, report=report, say=note)
            else:
                changes = parse_settings(settings or [])
                outcome = start_run(
                    recipe, data or [], folder, initial=initial, settings=changes, report=report, say=note
                )
    if as_json:
        print_json(
            {
                "run": str(outcome.run),
                "steps": outcome.steps,
                "num_pictures": outcome.num_pictures,
                "num_held_out": outcome.num_held_out,
                "before": outcome.before,
                "after": outcome.after,
                "got_worse": outcome.got_worse,
            }
        )
    else:
        option = _USES.get(outcome.kind, "`limner index --reranker`:")
        note(f"the model is in {outcome.run}; use it with {option} {outcome.run}")
