"""`limner info`: what there is to know of a collection."""

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.console import print_json
from limner.cli.options import AsJson

__all__ = ["info"]


def info(
    collection: Annotated[Path, typer.Argument(help="The folder that `limner index` has made.")],
    as_json: AsJson = False,
) -> None:
    """Print the size, the model, the index with its measured recall, and the skipped pictures of a collection."""
    from limner.services.indexing import describe

    facts = describe(collection)
    if as_json:
        print_json(facts)
        return
    typer.echo(f"pictures    {facts['num_pictures']:,}")
    typer.echo(f"model       {facts['model']} ({facts['embed_dim']} dimensions, {facts['fingerprint'][:12]})")
    typer.echo(f"index       {_index(facts)}")
    for kind, name in sorted(facts["rerankers"].items()):
        typer.echo(f"re-ranker   {kind}: {name}")
    typer.echo(f"on disk     {facts['size_bytes'] / 1e6:,.1f} MB")
    typer.echo(f"columns     {', '.join(facts['columns'])}")
    for number, source in enumerate(facts["sources"]):
        typer.echo(f"{'sources' if number == 0 else '':12}{source}")
    for number, skipped in enumerate(facts["skipped"]):
        typer.echo(f"{'skipped' if number == 0 else '':12}{skipped['path']}: {skipped['reason']}")


def _index(facts: dict[str, Any]) -> str:
    recall = facts["recall"]
    if recall is None:
        return "exact (recall@10 1.000)"
    return (
        f"approximate; recall@10 {recall['recall_on_disk']:.3f} on disk, {recall['recall_in_memory']:.3f} in memory "
        f"(measured with {recall['num_queries']} {recall['queries']})"
    )
