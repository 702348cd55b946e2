"""`limner search`: the pictures that words, a picture, or a mixture of both describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from limner.cli.console import note, one_line, print_json
from limner.errors import UsageError
from limner.generation.defaults import DRAWER

if TYPE_CHECKING:
    from limner.services.searching import Collection, Drawn, Hit, Query

__all__ = ["search"]


def search(  # noqa: C901  the options that exclude each other
    collection: Annotated[Path, typer.Argument(help="The folder that `limner index` has made.")],
    words: Annotated[str | None, typer.Argument(help="What to look for; [WEIGHT:]WORDS or [WEIGHT:]@FILE.")] = None,
    picture: Annotated[list[Path] | None, typer.Option(help="A picture to look for the like of.")] = None,
    plus: Annotated[list[str] | None, typer.Option(help="More words or @FILE, as in --plus 0.5:snow.")] = None,
    minus: Annotated[
        list[str] | None, typer.Option(help="Words or @FILE that count against, as in --minus text.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="An SQL condition on columns, as in \"width > 100 AND caption LIKE '%fox%'\".")
    ] = None,
    top: Annotated[int, typer.Option(help="How many pictures to return.", min=1)] = 10,
    rerank: Annotated[
        str,
        typer.Option(help="Look closely at the best hits: cross, late, language, stir, or none; see `limner index`."),
    ] = "none",
    depth: Annotated[int, typer.Option(help="How many of the best hits are looked at closely.", min=1)] = 50,
    min_relevance: Annotated[
        float | None,
        typer.Option(help="Leave out hits less likely to be right than this, as 0.5; see `limner calibrate`."),
    ] = None,
    exclude_itself: Annotated[
        bool, typer.Option("--exclude-itself", help="Leave out the pictures asked with, if the collection has them.")
    ] = False,
    queries: Annotated[
        Path | None, typer.Option(help="A file with a query a line: words, or JSON with text, picture, plus, minus.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Check that the collection was made with this model.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet of the hits into this file.")] = None,
    or_draw: Annotated[
        bool, typer.Option("--or-draw", help="Where nothing reaches --min-relevance, draw the words into --sheet.")
    ] = False,
    drawer: Annotated[
        str, typer.Option(help="The DALL-E that draws: its run or model folder, or the shipped one.")
    ] = DRAWER,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object (with --queries, one a line).")
    ] = False,
) -> None:
    """Find pictures by words, by pictures, or by a weighted mixture of both."""
    from limner.services import searching

    if queries is not None and (words is not None or picture or plus or minus or sheet or or_draw):
        raise UsageError("--queries stands alone; leave out the words, --picture, --plus, --minus, --sheet, --or-draw")
    if or_draw:
        _check_drawing(sheet, min_relevance)
    if sheet is not None:
        searching.check_sheet(sheet)
    opened = searching.open_collection(collection, model)
    manner = searching.Manner(
        top=top,
        where=where,
        rerank=None if rerank == "none" else rerank,
        depth=depth,
        min_relevance=min_relevance,
        exclude_itself=exclude_itself,
    )
    if queries is not None:
        for answer in searching.answer_file(opened, queries, manner):
            print_json(answer)
        return
    query = searching.parse_query(words, pictures=picture or (), plus=plus or (), minus=minus or ())
    if exclude_itself and all(term.picture is None for term in query.terms):
        raise UsageError("--exclude-itself leaves out a picture asked with, and this query has none; add --picture")
    if or_draw:
        searching.drawable_words(query)
    hits = searching.answer(opened, query, manner)
    if or_draw and not hits:
        note(f"nothing here matches with a relevance of {min_relevance:g} or more; drawing it")
        drawn = _draw_instead(opened, query, drawer, top, cast(Path, sheet))
        if as_json:
            print_json(searching.as_json(query, hits) | {"drawn": drawn.to_json()})
        return
    if sheet is not None:
        searching.draw_hits(hits, sheet)
        note(f"wrote {sheet}")
    if as_json:
        print_json(searching.as_json(query, hits))
    elif hits:
        _print_table(hits)
    elif min_relevance is not None:
        note(f"nothing here matches with a relevance of {min_relevance:g} or more")
    else:
        other = "no other picture" if exclude_itself else "no picture"
        empty = "the collection has no other picture" if exclude_itself else "the collection is empty"
        note(f"{other} fulfils the condition" if where else empty)


def _check_drawing(sheet: Path | None, min_relevance: float | None) -> None:
    if sheet is None or min_relevance is None:
        raise UsageError("--or-draw needs --min-relevance, below which it draws, and --sheet FILE, where that goes")


def _draw_instead(collection: "Collection", query: "Query", drawer: str, top: int, sheet: Path) -> "Drawn":
    from limner.cli.progress import progress_bar
    from limner.generation.drawer import load_drawer
    from limner.services import searching

    with progress_bar("Drawing", "codes") as report:
        drawn = searching.draw_instead(collection, query, load_drawer(drawer), top=top, report=report, say=note)
    drawn.save(sheet=sheet, out=None)
    note(f"wrote {sheet}")
    return drawn


def _print_table(hits: "list[Hit]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = {
        "rank": [str(hit.rank) for hit in hits],
        "relevance": [_number(hit.relevance, ".2f") for hit in hits],
        "score": [_number(hit.score) for hit in hits],
        "first score": [_number(hit.first_score) for hit in hits],
        "picture": [escape(one_line(_shown(hit.path))) for hit in hits],
        "caption": [escape(hit.caption) for hit in hits],
    }
    table = Table()
    told = {name: values for name, values in columns.items() if any(values) or name == "caption"}
    for name in told:
        table.add_column(name, justify="left" if name in ("picture", "caption") else "right", overflow="fold")
    for row in zip(*told.values(), strict=True):
        table.add_row(*row)
    Console().print(table)


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else f"{value:{form}}"


def _shown(path: str) -> str:
    """Return a path as seen from the working folder, if it lies inside."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
