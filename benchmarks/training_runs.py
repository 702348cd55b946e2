"""Runs of `limner train` that a benchmark keeps: started, or gone on with where they were."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from limner.training.logging import read_log

__all__ = ["train_or_resume"]


def train_or_resume(recipe: str, out: Path, words: Sequence[object]) -> float:
    """Train a run by the words of the command line, or go on with it; return the minutes that all its steps took."""
    begun = ["--resume", out] if (out / "run.json").exists() else [recipe, "--out", out, *words]
    subprocess.run([sys.executable, "-m", "limner.cli", "train", *map(str, begun)], check=True)
    return sum(line.get("seconds", 0.0) for line in read_log(out)) / 60
