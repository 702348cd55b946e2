"""What a run leaves to read: one JSON object a line, and TensorBoard's events."""

import json
import time
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

__all__ = ["RunLog", "read_log"]


class RunLog:
    """Appends metrics to `log.jsonl` and to TensorBoard; what a killed run logged past `step` is forgotten."""

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        lines = [json.dumps(line) for line in read_log(folder) if line["step"] <= step]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Log the metrics of a step."""
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **metrics}) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self._file.close()
        self._events.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a run's log; a last line cut by a kill is left out."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
