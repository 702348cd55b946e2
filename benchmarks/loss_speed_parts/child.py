"""One measurement in a process of its own, so that its peak of memory is its own: reads a task, prints the answer.

python benchmarks/loss_speed_parts/child.py '{"task": "time", "case": "info_nce", "batch": 120, ...}'
"""

import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
from torch.nn import functional

from limner.evaluation.ranking import figures_of_vectors
from limner.losses.chunked import chunked_info_nce
from limner.losses.selection import same_label, without_self
from limner.losses.similarity import unit_euclidean
from limner.losses.triplet_selection import all_triplets
from loss_speed_parts.cases import CASES, Batch, Case, make_batch
from loss_speed_parts.sentence_cases import SENTENCE_CASES

_EMBED_DIM, _SCALE = 256, 20.0
_FEWEST_TURNS, _MOST_TURNS = 1, 200
_WARM_SIZE = 16
_RANKED_DIM = 64
_SUITES = {"losses": CASES, "sentences": SENTENCE_CASES}
Answer = dict[str, Any]


def main() -> None:
    task = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (task["limit"], task["limit"]))
    try:
        answer = _TASKS[task["task"]](task)
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        answer = {"failed": "does not fit"}
    print(json.dumps(answer))


def _time(task: Answer) -> Answer:
    """Time our loss and the peer's, forward and backward, in turns; the first turn compares them and is not timed."""
    batch, case = make_batch(task["batch"]), _case(task)
    ours = _step(case.ours, batch)
    peer = _step(case.peer(), batch) if case.peer and not task.get("alone") else None
    answer: Answer = {"ours": [], "peer": []}
    value, gradient = ours()
    if peer:
        try:
            other_value, other_gradient = peer()
            largest = float(other_gradient.abs().max())
            answer["value_gap"] = abs(value - other_value) / max(abs(other_value), 1e-12)
            answer["gradient_gap"] = float((gradient - other_gradient).abs().max()) / max(largest, 1e-12)
        except (MemoryError, RuntimeError) as error:
            if not _is_lack_of_memory(error):
                raise
            answer["peer_failed"], peer = "does not fit", None
    began = time.perf_counter()
    for turn in range(_MOST_TURNS):
        if turn >= _FEWEST_TURNS and time.perf_counter() - began > task["seconds"]:
            break
        for name, work in (("ours", ours), ("peer", peer)):
            if work:
                answer[name].append(_seconds(work))
    return answer


def _memory(task: Answer) -> Answer:
    """Return the bytes that one side needs beyond its batch, at the peak of a step."""
    case = _case(task)
    loss = case.ours if task["side"] == "ours" or not case.peer else case.peer()
    _step(loss, make_batch(_WARM_SIZE))()
    return {"peak": peak_of(_step(loss, make_batch(task["batch"])))}


def _large(task: Answer) -> Answer:
    """Softmax over a large batch with one positive a row: seconds, peak, and the gradient in a file."""

    def step(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        made = [functional.normalize(torch.randn(size, _EMBED_DIM, generator=generator), dim=1) for _ in range(2)]
        queries, items = (each.requires_grad_() for each in made)
        keys = torch.arange(size)
        if task["side"] == "plain":
            functional.cross_entropy(_SCALE * queries @ items.T, keys).backward()
        else:
            chunked_info_nce(queries, items, keys[:, None], keys[:, None], scale=torch.tensor(_SCALE)).backward()
        assert queries.grad is not None and items.grad is not None
        return queries.grad, items.grad

    step(_WARM_SIZE)
    began = time.perf_counter()
    found: list[torch.Tensor] = []
    peak = peak_of(lambda: found.extend(step(task["batch"])))
    seconds = time.perf_counter() - began
    np.save(task["gradient"], torch.stack(found).numpy())
    return {"seconds": seconds, "peak": peak}


def _metrics(task: Answer) -> Answer:
    """Figures of as many queries as items, one relevant each."""
    size = task["batch"]
    generator = np.random.default_rng(0)
    items = generator.standard_normal((size, _RANKED_DIM), dtype=np.float32)
    queries = items + 2 * generator.standard_normal((size, _RANKED_DIM), dtype=np.float32)
    ids = [f"{place:07d}" for place in range(size)]
    relevant = [np.array([place]) for place in range(size)]
    figures_of_vectors(queries[:8], items[:64], relevant[:8], ids[:64])
    began = time.perf_counter()
    found: list[float] = []
    peak = peak_of(lambda: found.append(float(figures_of_vectors(queries, items, relevant, ids)["MRR"].mean())))
    return {"seconds": time.perf_counter() - began, "peak": peak, "MRR": found[0]}


def _miner(task: Answer) -> Answer:
    """Time all triplets of a batch: both distances of each, selection included."""
    batch = make_batch(task["batch"])
    units = batch.units.detach()

    def work() -> int:
        relevance = same_label(batch.labels, batch.labels)
        triplets = all_triplets(without_self(relevance), ~relevance)
        positive, negative = triplets.distances(unit_euclidean(units, units))
        return len((positive - negative)[triplets.chosen])

    count = work()
    return {"seconds": statistics.median(_seconds(work) for _ in range(5)), "count": count}


_TASKS: dict[str, Callable[[Answer], Answer]] = {
    "time": _time,
    "memory": _memory,
    "large": _large,
    "metrics": _metrics,
    "miner": _miner,
}


def peak_of(work: Callable[[], object]) -> int:
    """Return by how many bytes the resident memory of this process rose at its highest while it worked."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        before = _status("VmRSS")
    except OSError:
        before = _highest()
        work()
        return _highest() - before
    work()
    return max(0, _status("VmHWM") - before)


def _highest() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _case(task: Answer) -> Case:
    """Return the loss that a task names; its peer is imported from the packages that the task names."""
    sys.path.append(task["packages"])
    return _SUITES[task["suite"]][task["case"]]


def _step(loss: Callable[[Batch], torch.Tensor], batch: Batch) -> Callable[[], tuple[float, torch.Tensor]]:
    def work() -> tuple[float, torch.Tensor]:
        batch.vectors.grad = batch.nodes.grad = None
        value = loss(batch)
        value.backward()
        assert batch.vectors.grad is not None
        return float(value.detach()), batch.vectors.grad

    return work


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _is_lack_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "not enough memory" in str(error)


if __name__ == "__main__":
    main()
