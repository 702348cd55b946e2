"""Peers: their environments, and what a command takes."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Measured", "ensure_environment", "environment", "measure", "packages_of"]

_HERE = Path(__file__).parent / "peer"


def ensure_environment(folder: Path, prefix: str = "") -> Path:
    """Make a peer's virtual environment if it is missing, and return its python.

    `prefix` is how the names of its lists of requirements begin, in the folder `peer`.
    """
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "-r", _HERE / f"{prefix}requirements.txt"], check=True)
        subprocess.run(
            [*install, "--no-deps", "-r", _HERE / f"{prefix}requirements-without-dependencies.txt"], check=True
        )
        (folder / "ready").touch()
    return python


def packages_of(python: Path) -> Path:
    """Return where the packages of an environment lie, for an interpreter that has its own before them."""
    return next((python.parent.parent / "lib").glob("python3*")) / "site-packages"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a command took: wall and processor seconds, and the most memory of all its processes, in MiB."""

    seconds: float
    processor_seconds: float
    peak_memory: float


def measure(command: Sequence[str], *, threads: int, log: Path) -> Measured:
    """Run a command to its end, with its output behind what its file holds already.

    Raises:
        RuntimeError: if it fails; the message has its last lines, and names the file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started, processor_before = time.perf_counter(), _processor_seconds()
    peak = 0.0
    with log.open("a") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment(threads))
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.2)
    seconds = time.perf_counter() - started
    if process.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise RuntimeError(f"{' '.join(map(str, command))} failed; see {log}, which ends:\n{last}")
    return Measured(seconds=seconds, processor_seconds=_processor_seconds() - processor_before, peak_memory=peak)


def environment(threads: int) -> dict[str, str]:
    """Return this process's environment for a child: threads of torch, none of the tokenizers, and no GPU."""
    quiet = {"CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **quiet, "OMP_NUM_THREADS": str(threads)}


def _processor_seconds() -> float:
    """Return the processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _memory(root: int) -> float:
    """Return the memory of a process and its descendants in MiB, shared pages counted once."""
    total = 0.0
    pending = [root]
    while pending:
        pid = pending.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
    return total
