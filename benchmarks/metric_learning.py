"""Does Limner find the same thing more often than Open Metric Learning, taught on the same drawings for as long?

    python benchmarks/metric_learning.py --data pictograms --steps 200

Both start from the image tower of the shipped CLIP and read the same training pictures at the same size, one after the
other on the same machine: first an extractor by batch-hard triplets, then a re-ranker of its best candidates. OML
trains both as its own STIR example does (ConcatSiamese), at each learning rate, and has the whole time of Limner's
commands; the best of its rates counts. Protocol D: every family of drawings asks for concepts that training never saw
among the drawings of all other families. The same code judges both. What has been trained is kept in --work.
"""

import argparse
import csv
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.splitting import hold_out
from limner.evaluation.drawings import estimate_drawings, estimate_gains
from limner.search.embedder import load_embedder
from limner.search.reranker import load_reranker
from peers import ensure_environment, measure, packages_of
from record import markdown_table, percent, show_figures, write_result
from same_thing_parts.contenders import Gallery, Ranking, by_extractor, by_reranker, gather_gallery

_RUNNER = Path(__file__).parent / "peer" / "oml_runner.py"
_PAGE = Path(__file__).parent.parent / "docs/explanation/stir.md"
_PICTURE_SIZE = 128
_BATCH, _PAIR_LABELS, _INSTANCES = 160, 30, 4


@dataclass(frozen=True, kw_only=True)
class Row:
    """An extractor and its re-ranker: minutes of both, how they rank, and pairs judged a second."""

    name: str
    minutes: tuple[float, float]
    first: Ranking
    again: Ranking
    pairs_a_second: float
    left_out: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set pictograms")
    parser.add_argument("--steps", type=int, default=200, help="of Limner's extractor")
    parser.add_argument("--peer-rate", type=float, action="append", help="OML's learning rates; default: 1e-4 and 3e-4")
    parser.add_argument("--depth", type=int, default=10, help="how many of the best are re-ranked")
    parser.add_argument("--start", default="pictograms", help="the CLIP whose image tower both start from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--split", choices=["test", "validation"], default="test", help="validation is for choosing")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/metric_learning"))
    parser.add_argument("--venv", type=Path, default=Path("benchmarks/work/oml-venv"))
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    python = ensure_environment(options.venv, "oml-")
    train = export(options.data, options.work / "pictures")

    limner = Limner(options)
    limner.train(options.steps)
    gallery = gather_gallery(options.data, options.split, options.start, options.work / "ranked")
    ours = limner.judge(gallery)
    theirs = [Peer(python, train, rate, ours, options).judge(gallery) for rate in options.peer_rate or [1e-4, 3e-4]]
    _report(gallery, ours, theirs, options)


class Limner:
    """Training by `limner train metric` and `limner train stir`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = options.work / "limner"
        self.extractor, self.reranker = self.folder / "extractor", self.folder / "reranker"
        self.minutes = (0.0, 0.0)

    def train(self, num_steps: int) -> None:
        """Train an extractor for some steps, and its re-ranker by the recipe."""
        settings = {
            "loop.num_steps": num_steps,
            "loop.warmup_steps": max(1, num_steps // 20),
            "loop.validate_every": max(50, num_steps // 4),
            "loop.save_every": num_steps,
            "loader.batch_size": _BATCH,
        }
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.minutes = (
            self._train("metric", self.extractor, ["--from", self.options.start, *words]),
            self._train("stir", self.reranker, ["--from", str(self.extractor)]),
        )

    def judge(self, gallery: Gallery) -> Row:
        """Rank the drawings, and time the pairs; candidates are kept as an index keeps them."""
        first = by_extractor(gallery, str(self.extractor))
        again = by_reranker(gallery, str(self.reranker), first, self.options.depth)
        return Row(
            name="limner",
            minutes=self.minutes,
            first=first,
            again=again,
            pairs_a_second=self._pairs_a_second(gallery),
        )

    def _pairs_a_second(self, gallery: Gallery) -> float:
        reranker, test = load_reranker(str(self.reranker)), gallery.tests[0]
        asking, kept = (
            reranker.picture_parts(gallery.decoded(places.tolist(), at_least=reranker.image_size))
            for places in (test.asking, test.gallery[: self.options.depth])
        )
        started = time.perf_counter()
        for query in range(len(asking)):
            reranker.scores(asking.take(torch.tensor([query])), kept)
        return len(asking) * len(kept) / (time.perf_counter() - started)

    def _train(self, recipe: str, folder: Path, words: list[str]) -> float:
        """Train a run unless it is there, and return the minutes from its first file to its last weights."""
        weights = folder / "last" / "model.safetensors"
        if not weights.exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "limner.cli", "train", recipe, *words]
            command += ["--data", str(self.options.data), "--out", str(folder)]
            measure(command, threads=self.options.threads, log=folder.with_name(f"{folder.name}.log"))
        return (weights.stat().st_mtime - (folder / "run.json").stat().st_mtime) / 60


class Peer:
    """Training by OML's own code, at one learning rate."""

    def __init__(self, python: Path, train: Path, rate: float, ours: Row, options: argparse.Namespace) -> None:
        self.name = f"OML, rate {rate:g}"
        self.packages = packages_of(python)
        self.train, self.rate, self.minutes, self.options = train, rate, ours.minutes, options
        self.folder = options.work / f"oml-{rate:g}"

    def judge(self, gallery: Gallery) -> Row:
        """Read how it ranks the drawings, after training for the minutes of both stages unless that was done."""
        if not (self.folder / "times.json").exists():
            self._train(gallery)
        times = json.loads((self.folder / "times.json").read_text())
        vectors = np.load(self.folder / "first.npy")
        first = Ranking(
            kind=self.name, scores=[vectors[test.asking] @ vectors[test.gallery].T for test in gallery.tests]
        )
        again = [
            _moved_up(scores, np.load(self.folder / f"{test.family}.order.npy"))
            for test, scores in zip(gallery.tests, first.scores, strict=True)
        ]
        return Row(
            name=self.name,
            minutes=self.minutes,
            first=first,
            again=Ranking(kind=f"{self.name}, re-ranked", scores=again, first=first),
            pairs_a_second=times["pairs"] / times["seconds"],
            left_out=times["extractor_steps"][1] + times["reranker_steps"][1],
        )

    def _train(self, gallery: Gallery) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        families = {
            test.family: {"asking": test.asking.tolist(), "gallery": test.gallery.tolist()} for test in gallery.tests
        }
        settings = {
            "train": str(self.train),
            "test": str(_export_gallery(gallery, self.folder / "drawings")),
            "families": families,
            "packages": str(self.packages.resolve()),
            "start": self.options.start,
            "threads": self.options.threads,
            "image_size": load_embedder(self.options.start).image_size,
            "rate": self.rate,
            "num_labels": _BATCH // _INSTANCES,
            "num_instances": _INSTANCES,
            "pair_labels": _PAIR_LABELS,
            "depth": self.options.depth,
            "extractor_seconds": 60 * self.minutes[0],
            "reranker_seconds": 60 * self.minutes[1],
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))
        command = [sys.executable, str(_RUNNER), str(self.folder)]
        measure(command, threads=self.options.threads, log=self.folder.with_name(f"{self.folder.name}.log"))


def export(data: Path, folder: Path) -> Path:
    """Write the pictures that Limner would train on as PNG files, and OML's table of them; return its path.

    Concepts of one picture are left out, as its sampler asks.
    """
    table = folder / "train.csv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    pictures = PictureSet.open(data)
    rows, _ = hold_out(pictures.rows(["id", "group", "split"]))
    concepts = np.array(pictures.rows(["concept"])["concept"].to_pylist())[rows]
    names, labels, counts = np.unique(concepts, return_inverse=True, return_counts=True)
    print(f"{len(names):,} concepts to train on, {int((counts > 1).sum()):,} of them in several pictures", flush=True)
    kept = np.flatnonzero(counts[labels] > 1)
    lines = []
    for place, picture in zip(kept.tolist(), pictures.pictures(rows[kept].tolist()), strict=True):
        file = (folder / f"{rows[place]}.png").resolve()
        square(decode_picture(picture), _PICTURE_SIZE).save(file)
        lines.append((file, labels[place]))
    return _write_table(table, lines)


def _export_gallery(gallery: Gallery, folder: Path) -> Path:
    folder.mkdir(parents=True)
    places = range(len(gallery.examples.rows))
    labels = np.unique(gallery.examples.concepts, return_inverse=True)[1]
    lines = []
    for place in places:
        file = (folder / f"{place}.png").resolve()
        square(gallery.decoded([place], at_least=_PICTURE_SIZE)[0], _PICTURE_SIZE).save(file)
        lines.append((file, labels[place]))
    return _write_table(folder / "test.csv", lines)


def _write_table(path: Path, lines: list[tuple[Path, int]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label"))
        writer.writerows(lines)
    return path


def _moved_up(scores: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return scores by which the columns of `order` come first, in its order, and the others after them as before."""
    again = scores - (2 * scores.shape[1] + scores.max() - scores.min())
    np.put_along_axis(
        again, order, -np.arange(order.shape[1], dtype=again.dtype)[None, :].repeat(len(order), 0), axis=1
    )
    return again


def _report(gallery: Gallery, ours: Row, theirs: list[Row], options: argparse.Namespace) -> None:
    head = [
        "",
        "minutes",
        "R@1",
        "mAP@R",
        "and to re-rank",
        "R@1",
        "mAP@R",
        "errors removed, %",
        "pairs/s",
    ]
    rows, reached = [], {}
    for row in [ours, *theirs]:
        before, after = (ranking.values(gallery) for ranking in (row.first, row.again))
        first, again = (estimate_drawings(gallery.tests, values).together for values in (before, after))
        removed = estimate_gains(gallery.tests, before, after).together.errors_removed
        reached[row.name] = (first["R@1"].mean, again["R@1"].mean)
        rows.append(
            [
                row.name,
                f"{row.minutes[0]:.1f}",
                percent(first["R@1"]),
                percent(first["mAP@R"]),
                f"{row.minutes[1]:.1f}",
                percent(again["R@1"]),
                percent(again["mAP@R"]),
                percent(removed),
                f"{row.pairs_a_second:,.0f}",
            ]
        )
    best = max(theirs, key=lambda row: max(reached[row.name]))
    alone, both = (100 * (reached[ours.name][stage] - reached[best.name][stage]) for stage in (0, 1))
    lead = 100 * (reached[ours.name][1] - max(reached[best.name]))
    note = (
        f"- points of R@1 against {best.name}: {alone:+.1f} of the extractor, {both:+.1f} of both stages, and "
        f"{lead:+.1f} of both stages against the better of the peer's two\n"
        f"- Limner judges {ours.pairs_a_second / best.pairs_a_second:.0f} times as many pairs a second"
    )
    note += "".join(
        f"\n- {row.name}: {row.left_out} steps were left out, since their gradient was not finite"
        for row in theirs
        if row.left_out
    )
    about = __doc__.split("\n\n")[2].strip()
    body = (
        f"{about}\n\n{markdown_table(head, rows)}\n\n{note}\n\nThe {options.split} split, the best "
        f"{options.depth} re-ranked, {options.threads} thread(s). Percent with 95 % intervals over concepts. Limner's "
        "candidates are kept as in an index; OML's re-ranker reads both pictures of every pair."
    )
    if options.dry or options.split != "test":
        print(body)
        return
    show_figures(_PAGE, body, mark="peer")
    print(write_result("metric_learning", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
