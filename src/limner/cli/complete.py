"""`limner complete`: go on with a started picture."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.console import note
from limner.cli.draw import sampling, show
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
from limner.errors import UsageError
from limner.generation.defaults import COUNT, DRAWER, GUIDANCE, TEMPERATURE, TOP_K, TOP_P

__all__ = ["complete"]


def complete(
    picture: Annotated[Path, typer.Argument(help="The started picture.")],
    words: Annotated[str, typer.Argument(help="What it will be; without words, anything.")] = "",
    keep: Annotated[str, typer.Option(help="The part that stays: top, left, or box (the middle).")] = "top",
    share: Annotated[float, typer.Option(min=0, max=1, help="How much of the side that part has.")] = 0.5,
    count: Count = COUNT,
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
    """Keep a part of a picture and draw the rest anew, in the order of reading: each code given all before it."""
    from limner.cli.progress import progress_bar
    from limner.generation.drawer import load_drawer
    from limner.services import drawing

    part = next((known for known in drawing.PARTS if known == keep), None)
    if part is None:
        raise UsageError(f"unknown part '{keep}'; known: {', '.join(drawing.PARTS)}")
    drawing.check_places(sheet, out, watch)
    how = sampling(temperature, top_k, top_p, guidance)
    request = drawing.Request(words=words, count=count, seed=seed, how=how)
    drawer = load_drawer(model)
    with progress_bar("Drawing", "codes") as report:
        drawn = drawing.complete(
            drawer,
            picture,
            request,
            part=part,
            share=share,
            ranker=None if ranker == "none" else ranker,
            report=report,
            say=note,
            watch=watch,
        )
    show(drawn, sheet=sheet, out=out, as_json=as_json)
