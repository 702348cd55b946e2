"""How long does re-ranking 100 candidates take with each form of STIR, and what does looking together longer buy?

    python benchmarks/stir_speed.py [--data pictograms --extractor RUN [RUN ...] --reranker RUN [RUN ...]]

Without runs, the models of the recipe `stir` are timed with random weights: time does not depend on them. With runs,
what they reach on the validation split stands beside their time: drawings of concepts that were not trained on, asked
as in the protocol D. Candidates are kept as an index keeps them; a search pays for the query and for the pairs. Times
are the medians of turns (A B C A B C).
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image

from limner.evaluation.drawings import estimate_drawings, estimate_gains
from limner.models.stir import STIRConfig, build_stir
from limner.recipes.stir import stir
from limner.search.embedder import load_embedder
from limner.search.reranker import Reranker, load_reranker
from record import markdown_table, percent, show_figures, write_result
from same_thing_parts.contenders import by_extractor, by_reranker, describe_stir, extractor_of, gather_gallery

_PAGE = Path(__file__).parent.parent / "docs/explanation/stir.md"


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one turn: to keep a candidate, to read the query, to judge all pairs."""

    keep: float
    query: float
    pairs: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clip", default="pictograms", help="the CLIP whose trunk the untrained models have")
    parser.add_argument("--data", type=Path, help="the set pictograms, to judge the runs on")
    parser.add_argument("--extractor", nargs="+", default=[], help="runs of limner train metric")
    parser.add_argument("--reranker", nargs="+", default=[], help="runs of limner train stir")
    parser.add_argument("--depth", type=int, default=50, help="how many of the best are re-ranked on validation")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/same_thing"))
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    if options.reranker and not (options.data and options.extractor):
        parser.error("to judge --reranker give --data and --extractor too")
    torch.set_num_threads(options.threads)
    given = [load_reranker(run) for run in options.reranker]
    known = {describe_stir(reranker.model) for reranker in given}
    rerankers = [*given, *(each for each in _untrained(options.clip) if describe_stir(each.model) not in known)]
    times = _times(rerankers, options.candidates, options.turns)
    quality = _quality(options)
    rows = [
        _row(reranker, of_model, quality.get(reranker.name, ["", "", ""]))
        for reranker, of_model in zip(rerankers, times, strict=True)
    ]
    pairs = f"{options.candidates} pairs, ms"
    head = ["form", "query, ms", pairs, "a search, ms", "to keep one, ms", "kept of one, KB"]
    body = markdown_table([*head, "R@1 on validation", "gain in R@1", "errors removed, %"], rows)
    body = (
        f"One query, {options.candidates} candidates, {options.threads} thread(s), median of {options.turns} turns. "
        "What is kept is counted in half precision, as in a collection. Where no R@1 stands the weights are random. "
        f"Validation: the best {options.depth} re-ranked; percent with 95 % intervals, gains and removed errors paired."
        f"\n\n{body}"
    )
    if options.dry:
        print(body)
        return
    print(write_result("stir_speed", __doc__.splitlines()[0], body).read_text())
    show_figures(_PAGE, body, mark="speed")


def _untrained(clip: str) -> list[Reranker]:
    """Return every form with the sizes of the recipe, over the trunk of a CLIP, with random weights."""
    model = load_embedder(clip).model.config
    base = replace(cast(STIRConfig, stir().model), vision=model.vision, embed_dim=model.embed_dim)
    configs = [replace(base, form=form) for form in ("pair", "interaction", "local")]
    configs += [replace(base, form="cached", num_separate=alone) for alone in range(base.depth + 1)]
    return [Reranker(build_stir(config).eval(), None, name="") for config in configs]


def _times(rerankers: Sequence[Reranker], num_candidates: int, num_turns: int) -> list[Times]:
    """Return the medians over turns, the first turn thrown away."""
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (128, 128, 3), dtype=np.uint8)) for _ in range(num_candidates)]
    turns: list[list[Times]] = [[] for _ in rerankers]
    for turn in range(num_turns + 1):
        for found, reranker in zip(turns, rerankers, strict=True):
            of_turn = _turn(reranker, pictures)
            if turn:
                found.append(of_turn)
    return [
        Times(**{name: statistics.median(getattr(each, name) for each in found) for name in ("keep", "query", "pairs")})
        for found in turns
    ]


def _turn(reranker: Reranker, pictures: Sequence[Image.Image]) -> Times:
    moments = [time.perf_counter()]
    kept = reranker.picture_parts(pictures)
    moments.append(time.perf_counter())
    asked = reranker.picture_parts(pictures[:1])
    moments.append(time.perf_counter())
    reranker.scores(asked, kept)
    moments.append(time.perf_counter())
    keep, query, pairs = (1000 * (later - sooner) for sooner, later in zip(moments, moments[1:], strict=False))
    return Times(keep=keep / len(pictures), query=query, pairs=pairs)


def _quality(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return R@1, the gain and the removed errors of each run, by its name."""
    if not options.reranker:
        return {}
    gallery = gather_gallery(options.data, "validation", options.clip, options.work)
    extractors = [by_extractor(gallery, run) for run in options.extractor]
    found = {}
    for run in options.reranker:
        ranking = by_reranker(gallery, run, extractor_of(run, extractors), options.depth)
        assert ranking.first is not None
        before, after = ranking.first.values(gallery), ranking.values(gallery)
        gains = estimate_gains(gallery.tests, before, after)
        together = estimate_drawings(gallery.tests, after).together
        figures = together["R@1"], gains.together.figures["R@1"], gains.together.errors_removed
        found[run] = [percent(each) for each in figures]
        print(run, *found[run], flush=True)
    return found


def _row(reranker: Reranker, times: Times, quality: Sequence[str]) -> list[str]:
    size = reranker.image_size
    with torch.inference_mode():
        kept = reranker.model.picture_parts(torch.ones(1, 3, size, size)).vectors.numel() * 2 / 1000
    numbers = (times.query, times.pairs, times.query + times.pairs, times.keep)
    return [
        describe_stir(reranker.model).removeprefix("+ "),
        *(f"{each:.1f}" for each in numbers),
        f"{kept:.1f}",
        *quality,
    ]


if __name__ == "__main__":
    main()
