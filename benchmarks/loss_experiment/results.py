"""Finished runs as lines of JSON, so that a run is never made twice."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loss_experiment.contenders import Setting

__all__ = ["CHOOSING_SEED", "Results", "Run"]

CHOOSING_SEED = 0
"""The seed of the runs that choose settings; tests start from 1."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run reached: each figure of each query, by protocol, and the processor seconds that it took."""

    loss: str
    setting: Setting
    seed: int
    seconds: float
    figures: dict[str, dict[str, np.ndarray]]


class Results:
    """The file of finished runs; only lines of the same `setup` count. Several processes may add to it at once."""

    def __init__(self, path: Path, setup: dict[str, Any]) -> None:
        self.path, self.setup = path, setup
        self._runs: dict[tuple[str, Setting, int], Run] = {}
        self.read()

    def read(self) -> None:
        """Read what has been finished; a last line that was cut off is passed over."""
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if entry.pop("setup") == self.setup:
                self._keep(entry)

    def find(self, loss: str, setting: Setting, seed: int) -> Run | None:
        return self._runs.get((loss, setting, seed))

    def add(self, run: Run) -> None:
        """Write a run down before it counts."""
        entry: dict[str, Any] = {"loss": run.loss, "setting": asdict(run.setting), "seed": run.seed}
        entry |= {"seconds": round(run.seconds, 2)}
        entry["figures"] = {
            protocol: {name: np.round(values, 6).tolist() for name, values in figures.items()}
            for protocol, figures in run.figures.items()
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A line that was cut off must not swallow the next one.
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * _ends_within_a_line(self.path) + json.dumps({"setup": self.setup} | entry) + "\n")
        self._keep(entry)

    def chosen(self, loss: str, grid: Sequence[Setting], protocols: Sequence[str]) -> Setting | None:
        """Return the setting of the best mean MRR over the validation protocols; None while one has not run."""
        runs = [self.find(loss, setting, CHOOSING_SEED) for setting in grid]
        found = [run for run in runs if run is not None]
        if len(found) < len(grid):
            return None
        return max(found, key=lambda run: mean_mrr(run, protocols)).setting

    def _keep(self, entry: dict[str, Any]) -> None:
        run = Run(
            loss=entry["loss"],
            setting=Setting(**entry["setting"]),
            seed=entry["seed"],
            seconds=entry["seconds"],
            figures={
                protocol: {name: np.array(values) for name, values in figures.items()}
                for protocol, figures in entry["figures"].items()
            },
        )
        self._runs[run.loss, run.setting, run.seed] = run


def mean_mrr(run: Run, protocols: Sequence[str]) -> float:
    """Return the mean over protocols of the mean reciprocal rank."""
    return float(np.mean([run.figures[protocol]["MRR"].mean() for protocol in protocols]))


def _ends_within_a_line(path: Path) -> bool:
    content = path.read_bytes() if path.exists() else b""
    return bool(content) and not content.endswith(b"\n")
