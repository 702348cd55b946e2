"""Do models that read words and picture together order the best hits of a search better than the CLIP that found them?

    python benchmarks/rerankers.py --data pictograms [--kind cross late language] [--steps 400]

Each kind starts from the shipped CLIP, whose towers stay as they are, and learns for as many steps from the training
pictures, hard negatives mined by that CLIP beside each query's own. Its 50 best hits are ordered anew: protocol U asks
for concepts that training never saw, S for seen ones in a style that it never saw.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from limner.data.picture_set import PictureSet
from limner.evaluation.examples import gather_examples, read_parts
from limner.search.embedder import load_embedder
from limner.search.reranker import Reranker, load_reranker
from limner.services.evaluating import judge_protocol
from record import markdown_table, percent, show_figures, write_result
from training_runs import train_or_resume

_PAGE = Path(__file__).parent.parent / "docs/how-to/rank.md"
_LOCKED = {"vision": 0.0, "text": 0.0, "image_projection": 0.0, "text_projection": 0.0}
_KINDS = {
    "cross": {"loop.optimizer.rates": json.dumps(_LOCKED)},
    # One number has to move as far as matrices do in many steps.
    "late": {"loop.optimizer.rates": json.dumps({"vision": 0.0, "text": 0.0, "parts_logit": 20.0})},
    # Its words are read and said by the text tower itself, which has to learn to answer.
    "language": {"loop.optimizer.rates": json.dumps({"vision": 0.0})},
}
_TIMED_QUERIES, _TURNS = 20, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set pictograms")
    parser.add_argument("--kind", nargs="+", choices=list(_KINDS), default=list(_KINDS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--start", default="pictograms", help="the CLIP that finds the candidates")
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--protocol", nargs="+", default=["U", "S"], help="V-U and V-S are for choosing")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a further setting of all runs")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/rerankers"), help="runs are resumed there")
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    embedder, pictures = load_embedder(options.start), PictureSet.open(options.data)
    rows, alone = [], {}
    for kind in options.kind:
        minutes = _train(kind, options)
        reranker = load_reranker(options.work / kind)
        cells = [kind, f"{minutes:.0f}", f"{_milliseconds(reranker, pictures, options.depth):.0f}"]
        for protocol in options.protocol:
            found = judge_protocol(embedder, pictures, protocol, second=(reranker, options.depth)).retrieval
            assert found.reranked is not None
            gains = found.reranked.gains.figures
            cells += [percent(each) for each in (found.reranked.text_to_picture["R@1"], gains["R@1"], gains["MRR"])]
            alone[protocol] = percent(found.text_to_picture["R@1"])
            print(kind, protocol, alone[protocol], *cells[-3:], flush=True)
        rows.append(cells)
    head = ["model", "minutes", f"ms for {options.depth} pairs"]
    head += [f"{protocol} {name}" for protocol in options.protocol for name in ("R@1", "gain in R@1", "gain in MRR")]
    settings = "".join(f", `{setting}`" for setting in options.settings)
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{markdown_table(head, rows)}\n\nR@1 of `{options.start}` alone: "
        + "; ".join(f"{protocol} {figure}" for protocol, figure in alone.items())
        + f". {options.steps} steps each{settings}. English captions; percent with 95 % intervals over concepts, those "
        "of gains paired."
    )
    if options.dry:
        print(body)
        return
    print(write_result("rerankers", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())
    show_figures(_PAGE, body)


def _train(kind: str, options: argparse.Namespace) -> float:
    """Train a kind, or go on with it, and return the minutes that this call took."""
    settings = {
        "model.kind": kind,
        "loop.num_steps": options.steps,
        "loop.warmup_steps": options.steps // 10,
        "loop.validate_every": options.steps // 2,
        "loader.batch_size": 48,
        "loader.captions.languages": json.dumps({"en": 1.0, "": 1.0}),
        "ranking.num_mined": 3,
        **_KINDS[kind],
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += [word for setting in options.settings for word in ("--set", setting)]
    words = ["--from", options.start, "--data", options.data, *words]
    return train_or_resume("ranking", options.work / kind, words)


@torch.inference_mode()
def _milliseconds(reranker: Reranker, pictures: PictureSet, depth: int) -> float:
    """Return how long it takes to read a query and judge its candidates, which are kept as an index keeps them."""
    examples = gather_examples(pictures, rows=list(range(depth)), language="en")
    parts, words = read_parts(reranker, pictures, examples), examples.captions[:_TIMED_QUERIES]
    turns = []
    for _ in range(_TURNS):
        started = time.perf_counter()
        for text in words:
            reranker.scores(reranker.text_parts([text]), parts)
        turns.append(1000 * (time.perf_counter() - started) / len(words))
    return statistics.median(turns)


if __name__ == "__main__":
    main()
