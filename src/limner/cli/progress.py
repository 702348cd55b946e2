"""Progress bars on standard error: how far, how fast, how long still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import ProgressColumn as Column
from rich.text import Text

__all__ = ["Report", "progress_bar"]

Report = Callable[[int, int | None, str], None]


class _RateColumn(Column):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.1f} {self._unit}/s" if rate else "")


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Report]:
    """Show a bar while the block runs; the block calls `report(done, total, note)`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        task = bars.add_task(description, total=None, note="")

        def report(done: int, total: int | None, note: str) -> None:
            bars.update(task, completed=done, total=total, note=note)

        yield report
