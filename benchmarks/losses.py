"""Which ranking loss teaches a dual encoder most, from the same pictures in the same number of steps?

    limner data get pictograms pictograms
    python benchmarks/losses.py --data pictograms

Frozen towers (EfficientNet-Lite0 at 80 pixels, MiniLM of English captions and tags) say what they see once; each loss
then trains the same projections, from the same weights, on the same batches in the same order. Four settings a loss,
two learning rates by two values of its own, are tried with one seed and judged on the validation pictures (mean MRR of
V-U and of emojione-v1, a style never seen); the best is trained again with other seeds and judged on U and S.

Finished runs are kept in the work folder and not made again. The losses may be shared out between processes with
--only; the page is written by the call that finds all runs finished.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from limner.data.picture_set import PictureSet
from loss_experiment.contenders import CONTENDERS, Setting, settings_of
from loss_experiment.data import CHOOSING, TESTS, Judged, Training, load_judged, load_training
from loss_experiment.features import IMAGE_SIZE
from loss_experiment.plot import draw_plot
from loss_experiment.report import describe, rows_of
from loss_experiment.results import CHOOSING_SEED, Results, Run, mean_mrr
from loss_experiment.training import Budget, judge, train
from record import describe_commit, describe_machine, show_figures

_PAGE = Path(__file__).parent.parent / "docs/explanation/losses.md"
_TITLES = {"U": "U: concepts never seen", "S": "S: a style never seen"}


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    budget = Budget(num_steps=options.steps, batch_size=options.batch_size, num_views=options.views)
    pictures = PictureSet.open(options.data)
    setup = {"set": len(pictures), "size": IMAGE_SIZE, "limit": options.limit, **budget.__dict__}
    results = Results(options.work / "runs.jsonl", setup)
    data = load_training(pictures, options.work, num_views=budget.num_views, limit=options.limit)
    judged = load_judged(pictures, options.work, CHOOSING | TESTS, limit=options.limit)
    seeds = range(CHOOSING_SEED + 1, CHOOSING_SEED + 1 + options.seeds)
    for loss in options.only or CONTENDERS:
        _run_loss(loss, seeds, data, judged, budget, results)
    results.read()
    finished = _tests(results, seeds)
    if not finished:
        return
    tables = rows_of(finished, {name: judged[name].groups for name in TESTS}, list(TESTS))
    titles = {name: f"{_TITLES[name]} ({len(judged[name].ids):,} pictures)" for name in TESTS}
    text = describe(tables, {name: f"**{title}**" for name, title in titles.items()})
    print(text)
    missing = [loss for loss in CONTENDERS if loss not in finished]
    if missing:
        print(f"The page waits for {', '.join(missing)}.")
    elif options.limit and options.page == _PAGE:
        print("The page is not written from a trial.")
    else:
        _write(options.page, text, draw_plot(tables, titles), options, len(data))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set pictograms")
    parser.add_argument("--seeds", type=int, default=3, help="runs of the chosen setting of each loss")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--views", type=int, default=3, help="views of a picture: as it is, then augmented")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), metavar="LOSS", help=", ".join(CONTENDERS))
    parser.add_argument("--limit", type=int, help="a trial: so many pictures of training and of each test")
    parser.add_argument("--page", type=Path, default=_PAGE, help="where the figures go, between its marks")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/losses"))
    return parser.parse_args()


def _run_loss(
    loss: str, seeds: Sequence[int], data: Training, judged: dict[str, Judged], budget: Budget, results: Results
) -> None:
    grid = settings_of(CONTENDERS[loss])
    for setting in grid:
        _run(loss, setting, CHOOSING_SEED, data, {name: judged[name] for name in CHOOSING}, budget, results)
    chosen = results.chosen(loss, grid, list(CHOOSING))
    assert chosen is not None
    for seed in seeds:
        _run(loss, chosen, seed, data, {name: judged[name] for name in TESTS}, budget, results)


def _run(
    loss: str,
    setting: Setting,
    seed: int,
    data: Training,
    judged: dict[str, Judged],
    budget: Budget,
    results: Results,
) -> None:
    run = results.find(loss, setting, seed)
    if run is None:
        model, seconds = train(data, CONTENDERS[loss], setting, seed, budget)
        figures = {name: judge(model, each) for name, each in judged.items()}
        run = Run(loss=loss, setting=setting, seed=seed, seconds=seconds, figures=figures)
        results.add(run)
    own = f"{CONTENDERS[loss].setting} {setting.value:g}, rate {setting.learning_rate:g}, seed {seed}"
    mrr = 100 * mean_mrr(run, list(judged))
    print(f"{loss}: {own}: MRR {mrr:.1f} on {' and '.join(judged)}, {run.seconds:.1f} s", flush=True)


def _tests(results: Results, seeds: Sequence[int]) -> dict[str, Sequence[Run]]:
    """Return the test runs of the losses of which all are finished."""
    finished = {}
    for loss, contender in CONTENDERS.items():
        chosen = results.chosen(loss, settings_of(contender), list(CHOOSING))
        runs = [results.find(loss, chosen, seed) for seed in seeds] if chosen else [None]
        if all(run is not None for run in runs):
            finished[loss] = [run for run in runs if run is not None]
    return finished


def _write(page: Path, text: str, plot: str, options: argparse.Namespace, num_pictures: int) -> None:
    picture = page.with_suffix(".svg")
    picture.write_text(plot, encoding="utf-8")
    facts: dict[str, Any] = {
        "pictures": f"{num_pictures:,}",
        "steps": f"{options.steps:,} of {options.batch_size} pairs",
        "seeds": options.seeds,
        "machine": f"{describe_machine()}, one thread a run",
        "commit": describe_commit(),
    }
    measured = "; ".join(f"{name} {value}" for name, value in facts.items())
    show_figures(page, f"![Mean reciprocal rank of every loss]({picture.name})\n\n{text}\n\nMeasured: {measured}.")


if __name__ == "__main__":
    main()
