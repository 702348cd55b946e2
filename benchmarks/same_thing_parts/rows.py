"""Rows of pictures: a query, its best drawings before re-ranking, and after; right answers are framed in green."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from limner.data.decoding import square
from same_thing_parts.contenders import Gallery, Ranking

__all__ = ["Row", "draw_rows", "rows_that_change"]

_SHOWN, _CELL, _GAP, _FRAME = 5, 64, 6, 3
_RIGHT, _WRONG, _ASKED = "#2e8b57", "#d9d9d9", "#333333"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A query and its best columns before and after; `was` and `now` are the ranks of the first right answer."""

    test: int
    query: int
    before: Sequence[int]
    after: Sequence[int]
    was: int
    now: int

    def describe(self, gallery: Gallery) -> str:
        """Return the ids of the query and of what stands first, before and after."""
        test = gallery.tests[self.test]
        asked = gallery.examples.ids[test.asking[self.query]]
        first, second = (test.gallery_ids[columns[0]] for columns in (self.before, self.after))
        return f"`{asked}`: `{first}`, then `{second}`; first right answer at {self.was}, then {self.now}"


def rows_that_change(gallery: Gallery, ranking: Ranking, count: int, *, is_better: bool) -> list[Row]:
    """Return where the first right answer comes to stand at rank 1, or leaves it; the largest changes first.

    Of each concept there is at most one row.
    """
    assert ranking.first is not None
    found: list[tuple[int, str, Row]] = []
    for number, test in enumerate(gallery.tests):
        before, after = _order(ranking.first.scores[number]), _order(ranking.scores[number])
        for query, relevant in enumerate(test.relevant):
            was, now = (1 + int(np.isin(order[query], relevant).argmax()) for order in (before, after))
            if (now == 1 < was) if is_better else (was == 1 < now):
                row = Row(
                    test=number,
                    query=query,
                    before=before[query, :_SHOWN].tolist(),
                    after=after[query, :_SHOWN].tolist(),
                    was=was,
                    now=now,
                )
                found.append((-abs(was - now), gallery.examples.ids[test.asking[query]], row))
    chosen: list[Row] = []
    concepts: set[int] = set()
    for _, _, row in sorted(found, key=lambda entry: entry[:2]):
        concept = int(gallery.tests[row.test].concepts[row.query])
        if concept not in concepts and len(chosen) < count:
            concepts.add(concept)
            chosen.append(row)
    return chosen


def draw_rows(gallery: Gallery, rows: Sequence[Row], out: Path) -> None:
    """Write the rows as one picture in few colours."""
    width = (1 + 2 * _SHOWN) * (_CELL + _GAP) + 5 * _GAP
    sheet = Image.new("RGB", (width, max(len(rows), 1) * (_CELL + _GAP) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for line, row in enumerate(rows):
        test = gallery.tests[row.test]
        columns = [*row.before, *row.after]
        places = [int(test.asking[row.query]), *(int(test.gallery[column]) for column in columns)]
        right = set(test.relevant[row.query].tolist())
        frames = [_ASKED, *(_RIGHT if column in right else _WRONG for column in columns)]
        for cell, (picture, frame) in enumerate(zip(gallery.decoded(places, at_least=_CELL), frames, strict=True)):
            left = _GAP + cell * (_CELL + _GAP) + 2 * _GAP * ((cell > 0) + (cell > _SHOWN))
            top = _GAP + line * (_CELL + _GAP)
            sheet.paste(square(picture, _CELL), (left, top))
            draw.rectangle((left - 1, top - 1, left + _CELL, top + _CELL), outline=frame, width=_FRAME)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(128).save(out, optimize=True)


def _order(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")
