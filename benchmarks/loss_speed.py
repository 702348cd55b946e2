"""How long do losses take and how much memory, beside two libraries of losses and plain implementations?

    python benchmarks/loss_speed.py [--part losses] [--part sentences] [--part softmax] [--part metrics] [--part miner]

`losses` are measured beside pytorch-metric-learning, and `sentences` beside sentence-transformers.

Every measurement has a process of its own, with one thread and a limit on memory; what does not fit or takes too long
says so. Times are ratios measured in turns (A B A B); memory is what the process's resident set rose by at its highest.
The metrics of 100,000 queries take the time of 10^10 scores, sorted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loss_speed_parts.cases import CASES, PER_LABEL, Case
from loss_speed_parts.sentence_cases import SENTENCE_CASES
from peers import ensure_environment, packages_of
from record import markdown_table, write_result

_PARTS = Path(__file__).parent / "loss_speed_parts"
_EMBED_DIM = 256
_LARGE = (32_768, 24_576, 16_384, 8_192)
_MIB, _GIB = 2**20, 2**30
_SECONDS_OF_METRICS = 3 * 3600
Answer = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"losses": _losses, "sentences": _sentences, "softmax": _softmax, "metrics": _metrics, "miner": _miner}
    parser.add_argument("--part", action="append", choices=list(parts), help="default: all")
    parser.add_argument("--batch", type=int, nargs="+", default=[120, 600, 8192], help="sizes of a batch")
    parser.add_argument("--large", type=int, nargs="+", default=list(_LARGE), help="sizes for the softmax, falling")
    parser.add_argument("--queries", type=int, nargs="+", default=[25_000, 50_000, 100_000])
    parser.add_argument("--case", nargs="+", choices=[*CASES, *SENTENCE_CASES], metavar="LOSS", help="default: all")
    parser.add_argument("--turns", type=int, default=2, help="turns of the large softmax and of the miners")
    parser.add_argument("--seconds", type=float, default=5, help="how long to time a loss at a size")
    parser.add_argument("--patience", type=float, default=300, help="seconds after which a measurement is given up")
    parser.add_argument("--gib", type=float, help="memory of a measurement; default: 0.8 of what is available")
    parser.add_argument("--oml", type=Path, default=Path("benchmarks/work/oml-venv"), help="its environment")
    parser.add_argument("--sentences", type=Path, default=Path("benchmarks/work/sentences-venv"), help="its packages")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/loss_speed"))
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    options.gib = options.gib or 0.8 * _available() / _GIB
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.part or parts:
        title, body, packages = parts[name](options)
        if options.dry:
            print(f"# {title}\n\n{body}\n")
        else:
            print(write_result(f"loss_speed_{name}", title, body, packages=packages).read_text())


def _losses(options: argparse.Namespace) -> tuple[str, str, Sequence[str]]:
    about = "each row a query of all others. The peer is pytorch-metric-learning with its miners."
    body = _measure_cases("losses", CASES, "", about, options)
    return "Time and memory of each loss", body, ("torch", "pytorch-metric-learning")


def _sentences(options: argparse.Namespace) -> tuple[str, str, Sequence[str]]:
    packages = packages_of(ensure_environment(options.sentences, "sentences-"))
    about = (
        "each row a query of all. The peer is sentence-transformers 6.2.0, in the same process; its losses of lists "
        "are given a cross-encoder that knows all scores already, and put the pairs in lists themselves."
    )
    body = _measure_cases("sentences", SENTENCE_CASES, str(packages), about, options)
    return "Time and memory of losses beside sentence-transformers", body, ("torch",)


def _measure_cases(
    suite: str, cases: Mapping[str, Case], packages: str, about: str, options: argparse.Namespace
) -> str:
    """Return what a page says of some losses; `packages` is where their peer is, if not among ours."""
    tables = []
    for size in options.batch:
        rows = []
        for name in options.case or cases:
            task = {"suite": suite, "packages": packages, "case": name, "batch": size}
            rows.append(_loss_row(cases[name], task, options))
            print(size, *rows[-1], flush=True)
        head = ["loss", "ours, ms", "peer, ms", "peer / ours", "ours, MiB", "peer, MiB", "value, gradient apart by"]
        tables.append(f"## Batch {size:,}\n\n{markdown_table(head, rows)}")
    return (
        f"From {_EMBED_DIM} numbers a row to the loss and back, one thread, {PER_LABEL} rows a label, {about} "
        "Milliseconds are medians; the ratio is the median over turns. Where no value is said to agree, the peer's "
        f"loss is another one of the same kind. A measurement may take {options.gib:.1f} GiB and "
        f"{options.patience:.0f} s.\n\n" + "\n\n".join(tables)
    )


def _loss_row(case: Case, task: Answer, options: argparse.Namespace) -> list[str]:
    time = {"task": "time", "seconds": options.seconds} | task
    timed = _ask(time, options)
    if "failed" in timed and case.peer:
        timed = {"peer_failed": timed["failed"]} | _ask(time | {"alone": True}, options)
    ours, peer = timed.get("ours", []), timed.get("peer", [])
    memory = {
        side: _ask({"task": "memory", "side": side} | task, options)
        for side in (("ours", "peer") if case.peer else ("ours",))
    }
    return [
        case.title,
        _milliseconds(ours) or str(timed.get("failed")),
        (_milliseconds(peer) or str(timed.get("peer_failed"))) if case.peer else "–",
        f"{statistics.median(b / a for a, b in zip(ours, peer, strict=True)):.1f}" if peer else "–",
        _mebibytes(memory["ours"]),
        _mebibytes(memory["peer"]) if case.peer else "–",
        _agreement(case.other, timed) if case.peer else "–",
    ]


def _softmax(options: argparse.Namespace) -> tuple[str, str, Sequence[str]]:
    """Measure the plain one at the largest size that fits, the chunked one there in turns, and at the largest."""
    runs: list[tuple[str, int, list[Answer]]] = []
    agreement = "The plain softmax fits at none of the sizes."
    for size in options.large:
        plain = _ask_large("plain", size, options)
        if "failed" in plain:
            runs.append(("plain", size, [plain]))
            continue
        chunked = [_ask_large("chunked", size, options)]
        every = [plain]
        for _ in range(options.turns - 1):
            every.append(_ask_large("plain", size, options))
            chunked.append(_ask_large("chunked", size, options))
        runs += [("plain", size, every), ("chunked", size, chunked)]
        agreement = _compare_large(size, every, chunked, options)
        break
    largest = max(options.large)
    if ("chunked", largest) not in [(side, size) for side, size, _ in runs]:
        runs.append(("chunked", largest, [_ask_large("chunked", largest, options)]))
    rows = [
        [
            side,
            f"{size:,}",
            found[0].get("failed") or " ".join(f"{each['seconds']:.1f}" for each in found if "seconds" in each),
            _mebibytes(max(found, key=lambda each: each.get("peak", 0))),
            f"{4 * size * size / _MIB:,.0f}",
        ]
        for side, size, found in runs
    ]
    table = markdown_table(["softmax", "batch", "seconds, each turn", "peak MiB", "one matrix of scores, MiB"], rows)
    body = (
        "In-batch softmax with one positive a row, forward and backward, one thread. Plain is torch's cross_entropy of "
        "the whole matrix of scores; chunked is `losses.chunked.chunked_info_nce`. Plain is measured at the largest "
        f"size that fits into {options.gib:.1f} GiB; nothing is extrapolated.\n\n{table}\n\n{agreement}"
    )
    return "In-batch softmax of large batches, chunked and plain", body, ("torch",)


def _compare_large(size: int, plain: list[Answer], chunked: list[Answer], options: argparse.Namespace) -> str:
    if any("failed" in each for each in plain + chunked):
        return f"- not every turn at batch {size:,} came to its end"
    one, other = (np.load(_gradient(side, size, options)) for side in ("plain", "chunked"))
    gap, largest = float(np.abs(one - other).max()), float(np.abs(one).max())
    less = max(each["peak"] for each in plain) / max(each["peak"] for each in chunked)
    times = statistics.median(b["seconds"] / a["seconds"] for a, b in zip(plain, chunked, strict=True))
    return (
        f"- at batch {size:,} chunked needs {less:.1f} times less memory and {times:.2f} times the time of plain\n"
        f"- gradients there differ by at most {gap:.1e}, which is {gap / largest:.1e} of the largest entry"
    )


def _metrics(options: argparse.Namespace) -> tuple[str, str, Sequence[str]]:
    rows = []
    for size in options.queries:
        found = _ask({"task": "metrics", "batch": size}, options, patience=_SECONDS_OF_METRICS)
        seconds = found.get("failed") or f"{found['seconds']:.0f}"
        rows.append([f"{size:,}", seconds, _mebibytes(found), f"{4 * size * size / _MIB:,.0f}"])
        print(*rows[-1], flush=True)
    table = markdown_table(["queries and items", "seconds", "peak MiB", "the matrix of scores, MiB"], rows)
    body = (
        "Success at 1, 5 and 10, reciprocal rank, average precision and nDCG@10 of every query by "
        f"`evaluation.ranking.figures_of_vectors`, one thread, one relevant item a query.\n\n{table}"
    )
    return "Figures of ranking without the matrix of scores", body, ("numpy", "pytrec-eval-terrier")


def _miner(options: argparse.Namespace) -> tuple[str, str, Sequence[str]]:
    title, packages = "All triplets of a batch, beside OML's miner", ("torch",)
    about = (
        f"{PER_LABEL} rows a label, {_EMBED_DIM} numbers a row, one thread. Ours ends with both distances of every "
        "triplet; OML's miner shuffles triplets and gathers their vectors, and is timed with and without distances."
    )
    size = min(options.batch)
    python = ensure_environment(options.oml, "oml-")
    turns: list[tuple[Answer, Answer]] = []
    for _ in range(options.turns):
        ours = _ask({"task": "miner", "batch": size}, options)
        command = [str(python), str(_PARTS / "oml_miner.py"), str(size), str(_EMBED_DIM), str(PER_LABEL)]
        theirs = _run(command, options.patience)
        turns.append((ours, theirs))
    rows = [["ours", _each(turns, 0, "seconds"), "–"]]
    if any("failed" in theirs for _, theirs in turns):
        why = next(theirs["failed"] for _, theirs in turns if "failed" in theirs)
        rows.append(["OML", why, why])
        note = "OML's miner did not come to its end."
    else:
        rows.append(["OML", _each(turns, 1, "seconds"), _each(turns, 1, "triplets")])
        ratio = statistics.median(theirs["triplets"] / ours["seconds"] for ours, theirs in turns)
        counts = sorted({answer["count"] for turn in turns for answer in turn})
        note = f"- OML's miner alone takes {ratio:.1f} times as long as ours with the distances\n"
        note += f"- triplets: {' and '.join(f'{count:,}' for count in counts)}"
    table = markdown_table(["triplets", "with distances, ms, each turn", "without, ms"], rows)
    return title, f"{about} Batch {size:,}.\n\n{table}\n\n{note}", packages


def _ask_large(side: str, size: int, options: argparse.Namespace) -> Answer:
    path = str(_gradient(side, size, options))
    found = _ask({"task": "large", "side": side, "batch": size, "gradient": path}, options)
    print(side, size, found, flush=True)
    return found


def _gradient(side: str, size: int, options: argparse.Namespace) -> Path:
    return Path(options.work) / f"gradient-{side}-{size}.npy"


def _ask(task: Answer, options: argparse.Namespace, *, patience: float | None = None) -> Answer:
    task = {**task, "limit": int(options.gib * _GIB)}
    return _run([sys.executable, str(_PARTS / "child.py"), json.dumps(task)], patience or options.patience)


def _run(command: Sequence[str], patience: float) -> Answer:
    """Return what a process answers in the last line of its output, or why it gave no answer."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"over {patience:.0f} s"}
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr, flush=True)
        return {"failed": f"ended with {done.returncode}"}
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{1000 * statistics.median(seconds):.1f}" if seconds else ""


def _mebibytes(answer: Answer) -> str:
    return f"{answer['peak'] / _MIB:,.0f}" if "peak" in answer else str(answer["failed"])


def _each(turns: Sequence[tuple[Answer, Answer]], side: int, name: str) -> str:
    return " ".join(f"{1000 * turn[side][name]:.1f}" for turn in turns)


def _agreement(other: str, timed: Answer) -> str:
    if other or "value_gap" not in timed:
        return f"peer: {other}" if other else "–"
    return f"{timed['value_gap']:.0e}, {timed['gradient_gap']:.0e}"


def _available() -> int:
    """Return how many bytes can be had without swapping."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    line = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
