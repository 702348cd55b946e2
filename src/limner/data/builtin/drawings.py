"""Drawings with their texts, on the way to the records of a picture set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from limner.data.builtin.near_duplicates import find_pairs, leaking_pictures
from limner.data.builtin.rasterise import rasterise
from limner.data.builtin.report import Tally
from limner.data.picture_set import Record
from limner.data.progress import Report
from limner.data.splitting import hash_share

__all__ = ["Drawing", "draw", "sample"]

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """An SVG and the record it becomes, whose picture is still empty."""

    svg: bytes
    record: Record
    style_test: bool = False


def draw(
    drawings: Sequence[Drawing], size: int, *, tally: Tally, trim: bool = False, report: Report | None = None
) -> list[Record]:
    """Rasterise drawings at `size` x `size` pixels; leave out the blank ones and near-duplicates across splits."""
    drawn: list[Record] = []
    thumbnails: list[np.ndarray] = []
    style_test: list[bool] = []
    rasters = rasterise([drawing.svg for drawing in drawings], size, trim=trim)
    for done, (drawing, raster) in enumerate(zip(drawings, rasters, strict=True), start=1):
        if raster.thumbnail is None:
            tally.drop(drawing.record.source, raster.dropped)
        else:
            drawn.append(replace(drawing.record, picture=raster.png, width=size, height=size))
            thumbnails.append(raster.thumbnail)
            style_test.append(drawing.style_test)
        if report:
            report(done, len(drawings), drawing.record.source)
    if not drawn:
        return []
    leaving = leaking_pictures([record.split for record in drawn], style_test, find_pairs(np.stack(thumbnails)))
    for position, reason in leaving.items():
        tally.drop(drawn[position].source, reason)
    return [record for position, record in enumerate(drawn) if position not in leaving]


def sample(items: Sequence[Item], concept_of: Callable[[Item], str], limit: int) -> list[Item]:
    """At most `limit` items, of concepts chosen by a hash that knows nothing of splits, so that families agree."""
    return sorted(items, key=lambda item: hash_share(f"sample {concept_of(item)}"))[:limit]
