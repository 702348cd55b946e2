"""Is the same thing found when it is drawn differently, and what does re-ranking add?

    limner data get pictograms pictograms
    python benchmarks/same_thing.py --data pictograms --extractor RUN [RUN ...] --reranker RUN [RUN ...]

The protocol D: every family of drawings asks for concepts that training never saw among the drawings of all other
families. Runs of one config are seeds of one row: figures are means over them, and "seeds" is the least and the
greatest R@1. Gains and the errors at rank 1 that are removed compare the same queries with the extractor that a
re-ranker started from. Also draws the rows where re-ranking helps most and where it hurts.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.errors import ModelError
from limner.evaluation.drawings import (
    DRAWING_MEASURES,
    DrawingFigures,
    RerankingGains,
    estimate_drawings,
    estimate_gains,
)
from limner.models.checkpoints import resolve
from record import markdown_table, percent, show_figures, write_result
from same_thing_parts.contenders import (
    Gallery,
    Ranking,
    by_extractor,
    by_network,
    by_pixels,
    by_reranker,
    extractor_of,
    gather_gallery,
)
from same_thing_parts.rows import Row, draw_rows, rows_that_change

_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs/explanation/stir.md"
_PICTURES = _ROOT / "docs/pictures"
_MEASURES = ("R@1", "R@5", "R@10", "mAP", "mAP@R")
_SHOWN_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table: means over the seeds, the R@1 of each, and the gains over what they re-rank."""

    kind: str
    figures: DrawingFigures
    seeds: Sequence[float]
    gains: RerankingGains | None
    best: Ranking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set pictograms")
    parser.add_argument("--clip", default="pictograms", help="the CLIP to compare with; default: the shipped one")
    parser.add_argument("--extractor", nargs="+", default=[], help="runs of limner train metric")
    parser.add_argument("--reranker", nargs="+", default=[], help="runs of limner train stir")
    parser.add_argument("--depth", type=int, default=50, help="how many of the best are re-ranked")
    parser.add_argument("--split", choices=["test", "validation"], default="test", help="validation is for choosing")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/same_thing"))
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    gallery = gather_gallery(options.data, options.split, options.clip, options.work)
    lines, missing = _lines(gallery, options)
    reranked = [line for line in lines if line.gains]
    shown = max(reranked, key=lambda line: line.figures.together["R@1"].mean).best if reranked else None
    better, worse = (
        rows_that_change(gallery, shown, _SHOWN_ROWS, is_better=is_better) if shown else []
        for is_better in (True, False)
    )
    body = _body(gallery, lines, missing, options)
    changed = _changed(gallery, shown, better, worse)
    if options.dry or options.split != "test":
        print(f"{body}\n\n{changed}")
        return
    print(write_result("same_thing", __doc__.splitlines()[0], f"{body}\n\n{changed}").read_text())
    show_figures(_PAGE, body)
    if shown:
        for mark, rows in (("gains", better), ("losses", worse)):
            draw_rows(gallery, rows, _PICTURES / f"stir_{mark}.png")
            show_figures(_PAGE, f"![Queries, before and after](../pictures/stir_{mark}.png)", mark=mark)


def _lines(gallery: Gallery, options: argparse.Namespace) -> tuple[list[Line], str]:
    """Return the rows of the table, and what is missing from it."""
    lines, missing = [_line(gallery, [by_pixels(gallery)])], ""
    try:
        lines.append(_line(gallery, [by_network(gallery)]))
    except ModelError as error:
        missing = f"ImageNet's EfficientNet-Lite0 is missing here: {error}."
    clip = by_extractor(gallery, options.clip, kind=f"CLIP {Path(options.clip).name}")
    lines.append(_line(gallery, [clip]))
    print(*(f"{line.kind}: {percent(line.figures.together['R@1'])}" for line in lines), sep="\n", flush=True)
    extractors = [by_extractor(gallery, run) for run in options.extractor]
    lines += [_line(gallery, seeds) for seeds in _seeds(extractors)]
    rerankers = []
    for run in options.reranker:
        rerankers.append(by_reranker(gallery, run, extractor_of(run, [clip, *extractors]), options.depth))
        print(f"re-ranked by {run}", flush=True)
    lines += [_line(gallery, seeds) for seeds in _seeds(rerankers)]
    return lines, missing


def _seeds(rankings: Sequence[Ranking]) -> list[list[Ranking]]:
    """Return rankings by models of one config together, in order."""
    found: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        config = json.loads((resolve(ranking.source) / "config.json").read_text(encoding="utf-8"))
        found.setdefault(json.dumps(config, sort_keys=True), []).append(ranking)
    return list(found.values())


def _line(gallery: Gallery, seeds: Sequence[Ranking]) -> Line:
    values = [ranking.values(gallery) for ranking in seeds]
    alone = [estimate_drawings(gallery.tests, of_seed).together["R@1"].mean for of_seed in values]
    before = [ranking.first.values(gallery) for ranking in seeds if ranking.first is not None]
    return Line(
        kind=seeds[0].kind,
        figures=estimate_drawings(gallery.tests, _mean(values)),
        seeds=alone,
        gains=estimate_gains(gallery.tests, _mean(before), _mean(values)) if before else None,
        best=seeds[int(np.argmax(alone))],
    )


def _mean(values: Sequence[list[dict[str, np.ndarray]]]) -> list[dict[str, np.ndarray]]:
    """Return the mean over seeds of each figure of each query."""
    return [
        {name: np.mean([of_test[name] for of_test in by_seed], axis=0) for name in DRAWING_MEASURES}
        for by_seed in zip(*values, strict=True)
    ]


def _body(gallery: Gallery, lines: Sequence[Line], missing: str, options: argparse.Namespace) -> str:
    num_queries = sum(len(test.asking) for test in gallery.tests)
    table = markdown_table(
        ["", *_MEASURES, "seeds", "gain in R@1", "errors removed, %"],
        [
            [
                line.kind,
                *(percent(line.figures.together[name]) for name in _MEASURES),
                f"{len(line.seeds)}: {100 * min(line.seeds):.1f} to {100 * max(line.seeds):.1f}",
                *(
                    [percent(line.gains.together.figures["R@1"]), percent(line.gains.together.errors_removed)]
                    if line.gains
                    else ["", ""]
                ),
            ]
            for line in lines
        ],
    )
    shown = [line for line in lines if line.gains or line.kind.startswith("extractor")] or lines[-1:]
    families = markdown_table(
        ["R@1 by the family that asks", "queries", *(line.kind for line in shown)],
        [
            [test.family, len(test.asking), *(percent(line.figures.families[test.family]["R@1"]) for line in shown)]
            for test in gallery.tests
        ],
    )
    return (
        f"{num_queries:,} queries of {len(np.unique(gallery.examples.concepts)):,} concepts among "
        f"{len(gallery.examples.rows):,} drawings of the {options.split} split, the best {options.depth} re-ranked. "
        "Percent with 95 % intervals over concepts (bootstrap, or Wilson's for zeros and ones); those of gains and of "
        f"removed errors are paired. R@k is CMC@k; mAP@R is that of metric learning, trec_eval's map_cut. {missing}"
        f"\n\n{table}\n\n{families}"
    )


def _changed(gallery: Gallery, shown: Ranking | None, better: Sequence[Row], worse: Sequence[Row]) -> str:
    if shown is None:
        return ""
    lines = [f"Rows shown in docs/explanation/stir.md, re-ranked by {Path(shown.source).name}. Better:", ""]
    lines += [f"- {row.describe(gallery)}" for row in better]
    lines += ["", "Worse:", "", *(f"- {row.describe(gallery)}" for row in worse)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
