"""`limner draw`: pictures of words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.console import note, print_json
from limner.cli.options import (
    RANKER,
    AsJson,
    Count,
    Drawer,
    Guidance,
    Out,
    Ranker,
    Seed,
    Sheet,
    Temperature,
    TopK,
    TopP,
    Watch,
)
from limner.generation.defaults import COUNT, DRAWER, GUIDANCE, TEMPERATURE, TOP_K, TOP_P

if TYPE_CHECKING:
    from limner.services.drawing import Drawn, Sampling

__all__ = ["draw", "sampling", "show"]


def draw(
    words: Annotated[str, typer.Argument(help='What to draw; "" draws anything.')],
    count: Count = COUNT,
    keep: Annotated[int | None, typer.Option(min=1, help="Keep this many: those that the ranker finds best.")] = None,
    sheet: Sheet = None,
    out: Out = None,
    watch: Watch = None,
    model: Drawer = DRAWER,
    ranker: Ranker = RANKER,
    seed: Seed = 0,
    temperature: Temperature = TEMPERATURE,
    top_k: TopK = TOP_K,
    top_p: TopP = TOP_P,
    guidance: Guidance = GUIDANCE,
    as_json: AsJson = False,
) -> None:
    """Draw pictures of words, and put those first that a CLIP finds nearest to the words."""
    from limner.cli.progress import progress_bar
    from limner.generation.drawer import load_drawer
    from limner.services import drawing

    drawing.check_places(sheet, out, watch)
    how = sampling(temperature, top_k, top_p, guidance)
    request = drawing.Request(words=words, count=count, keep=keep, seed=seed, how=how)
    drawer = load_drawer(model)
    with progress_bar("Drawing", "codes") as report:
        drawn = drawing.draw(
            drawer, request, ranker=None if ranker == "none" else ranker, report=report, say=note, watch=watch
        )
    show(drawn, sheet=sheet, out=out, as_json=as_json)


def sampling(temperature: float, top_k: int, top_p: float, guidance: float) -> "Sampling":
    """Return the checked manner of drawing that the options ask for."""
    from limner.config import from_dict
    from limner.services.drawing import Sampling

    return from_dict(Sampling, {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance})


def show(drawn: "Drawn", *, sheet: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the pictures, and say where they went."""
    files = drawn.save(sheet=sheet, out=out)
    for place in (sheet, out):
        if place is not None:
            note(f"wrote {place}")
    if as_json:
        print_json(drawn.to_json(files) | ({"sheet": str(sheet)} if sheet else {}))
