"""What the runs say: figures with intervals, and each loss beside InfoNCE on the same queries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from limner.evaluation.intervals import Estimate, estimate_mean
from loss_experiment.contenders import BASELINE, CONTENDERS, Setting
from loss_experiment.results import Run
from record import markdown_table

__all__ = ["SHOWN", "Comparison", "Row", "compare", "describe", "holm", "rows_of"]

SHOWN = ("R@1", "R@5", "R@10", "MRR", "nDCG@10")
_NUM_RESAMPLES = 9999


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The lead in MRR over the baseline, its p and its effect size (the mean over the deviation of differences)."""

    lead: float
    p: float
    effect: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One loss on one protocol: figures of the mean over seeds, how far MRR lies apart between them, and seconds."""

    loss: str
    setting: Setting
    figures: dict[str, Estimate]
    spread: tuple[float, float]
    seconds: float
    comparison: Comparison | None


def rows_of(
    runs: dict[str, Sequence[Run]], groups: dict[str, np.ndarray], protocols: Sequence[str]
) -> dict[str, list[Row]]:
    """Return the rows of each protocol, best MRR first; p is corrected over all of them together."""
    means = {
        (loss, protocol): {name: np.mean([run.figures[protocol][name] for run in of_loss], axis=0) for name in SHOWN}
        for loss, of_loss in runs.items()
        for protocol in protocols
    }
    keys = [key for key in means if key[0] != BASELINE and BASELINE in runs]
    raw = [compare(means[key]["MRR"], means[BASELINE, key[1]]["MRR"], groups[key[1]]) for key in keys]
    corrected = holm([comparison.p for comparison in raw])
    comparisons = {
        key: Comparison(lead=each.lead, p=p, effect=each.effect)
        for key, each, p in zip(keys, raw, corrected, strict=True)
    }
    tables = {}
    for protocol in protocols:
        rows = []
        for loss, of_loss in runs.items():
            by_seed = [float(run.figures[protocol]["MRR"].mean()) for run in of_loss]
            rows.append(
                Row(
                    loss=loss,
                    setting=of_loss[0].setting,
                    figures={
                        name: estimate_mean(values, groups[protocol]) for name, values in means[loss, protocol].items()
                    },
                    spread=(min(by_seed), max(by_seed)),
                    seconds=float(np.mean([run.seconds for run in of_loss])),
                    comparison=comparisons.get((loss, protocol)),
                )
            )
        tables[protocol] = sorted(rows, key=lambda row: row.figures["MRR"].mean, reverse=True)
    return tables


def compare(ours: np.ndarray, baseline: np.ndarray, groups: np.ndarray) -> Comparison:
    """Return the lead over a baseline on the same queries, tested by exchanging the two in whole groups of queries."""
    differences = ours - baseline
    sums = np.bincount(groups, weights=ours), np.bincount(groups, weights=baseline)
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    if not differences.any():
        return Comparison(lead=0.0, p=1.0, effect=0.0)
    result = stats.permutation_test(
        sums,
        lambda one, other, axis: (one - other).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_NUM_RESAMPLES,
        batch=500,
        rng=np.random.default_rng(0),
    )
    lead = float(differences.mean())
    return Comparison(lead=lead, p=float(result.pvalue), effect=lead / deviation if deviation else 0.0)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979): the least is multiplied by n, the next by n - 1, ..."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = largest
    return corrected


def describe(tables: dict[str, list[Row]], titles: dict[str, str]) -> str:
    """Return the tables of the protocols and that of the chosen settings, in Markdown."""
    head = ["loss", *SHOWN, "MRR, seeds", "lead in MRR", "p", "effect"]
    parts = [
        f"{titles[protocol]}\n\n{markdown_table(head, [_line(row) for row in rows])}"
        for protocol, rows in tables.items()
    ]
    first = sorted(next(iter(tables.values())), key=lambda row: list(CONTENDERS).index(row.loss))
    chosen = [
        [
            CONTENDERS[row.loss].title,
            CONTENDERS[row.loss].family,
            f"{row.setting.learning_rate:g}",
            f"{CONTENDERS[row.loss].setting} {row.setting.value:g}",
            f"{row.seconds:.0f}",
        ]
        for row in first
    ]
    settings = markdown_table(["loss", "family", "learning rate", "its own setting", "seconds"], chosen)
    parts.append(f"Settings that the validation pictures chose, and processor seconds of one run:\n\n{settings}")
    return "\n\n".join(parts)


def _line(row: Row) -> list[str]:
    cells = [_cell(row.figures[name]) for name in SHOWN]
    spread = f"{100 * row.spread[0]:.1f}–{100 * row.spread[1]:.1f}"
    if row.comparison is None:
        return [CONTENDERS[row.loss].title, *cells, spread, "–", "–", "–"]
    found = row.comparison
    p = "< .001" if found.p < 0.001 else f"{found.p:.3f}".removeprefix("0")
    return [CONTENDERS[row.loss].title, *cells, spread, f"{100 * found.lead:+.1f}", p, f"{found.effect:+.2f}"]


def _cell(figure: Estimate) -> str:
    return f"{100 * figure.mean:.1f} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"
