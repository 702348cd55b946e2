"""What every result says of itself: command, machine, commit and date."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from limner.evaluation.intervals import Estimate

__all__ = ["markdown_table", "percent", "show_figures", "write_result"]

_ROOT = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "results"


def write_result(name: str, title: str, body: str, *, packages: Sequence[str] = ("torch",)) -> Path:
    """Write `results/NAME.md`: the title, how it was measured, and the body."""
    facts = {
        "command": "`" + " ".join(["python", *map(_shown, sys.argv)]) + "`",
        "machine": describe_machine(),
        "software": ", ".join([f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]),
        "commit": describe_commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    header = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{name}.md"
    path.write_text(f"# {title}\n\n{header}\n\n{body.strip()}\n", encoding="utf-8")
    return path


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def percent(figure: Estimate) -> str:
    """Return a figure and its interval in percent."""
    return f"{100 * figure.mean:.1f} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def show_figures(page: Path, text: str, *, mark: str = "figures") -> None:
    """Put figures between two marks of a page of the documentation, <!-- figures --> and <!-- end of figures -->."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"{page} has no place for figures between {first} and {last}")
    page.write_text(f"{before}{first}\n{text.strip()}\n{last}{after}", encoding="utf-8")


def _shown(word: str) -> str:
    """Return a word of the command without this machine's folders: within the project its path, elsewhere its name."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name


def describe_machine() -> str:
    """Return the processor, the number of cores this process may use, and the memory."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def describe_commit() -> str:
    """Return the commit, and whether the tree differs from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    return f"{commit} with changes" if _git("status", "--porcelain", "--", "src", "benchmarks/*.py") else commit


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=False).stdout.strip()
