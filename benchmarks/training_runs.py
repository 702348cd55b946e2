"""Runs of `limner train` that a benchmark keeps: started, or gone on with where they were."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["train_or_resume"]


def train_or_resume(recipe: str, out: Path, words: Sequence[object]) -> float:
    """Train a run by the words of the command line, or go on with it; return the minutes that this call took."""
    begun = ["--resume", out] if (out / "run.json").exists() else [recipe, "--out", out, *words]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "limner.cli", "train", *map(str, begun)], check=True)
    return (time.perf_counter() - started) / 60
