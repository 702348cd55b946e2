"""Does an extractor that learned five kinds of clothes tell apart five others, and does re-ranking help?

    python benchmarks/clothes_apart.py [--steps 400] [--tuned 100]

Fashion-MNIST with its classes split: an extractor learns five of them by batch-hard triplets, from random weights or
from the image tower of the shipped CLIP, and STIR learns from it. Each test picture of the other five classes asks
among all others of them; R@1 is how often the nearest is of its own class. Pixels, and the shipped CLIP and STIR as
they are, stand beside them.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from limner.data.builtin.fashion_mnist import CLASSES
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet, Record
from limner.evaluation.intervals import estimate_errors_removed, estimate_mean
from limner.evaluation.metric_learning import metric_learning_figures
from limner.evaluation.ranking import ranks_of_relevant
from limner.evaluation.reranking import rerank
from limner.search.embedder import load_embedder
from limner.search.reranker import load_reranker
from record import markdown_table, percent, write_result
from training_runs import train_or_resume

_LEARNED, _ASKED = CLASSES[:5], CLASSES[5:]
_FROM_RANDOM = {"model.vision.image_size": 28, "model.vision.stem_stride": 1}
_SETTINGS = {"objective.loss": "soft_triplet", "metric.num_instances": 32, "loader.batch_size": 160}
_CLIP, _STIR = "pictograms", "pictograms-stir"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/work/fashion-mnist"), help="made if missing")
    parser.add_argument("--steps", type=int, default=400, help="of the extractor from random weights")
    parser.add_argument("--tuned", type=int, default=100, help="of the extractor that starts from the shipped CLIP")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="a further setting of the extractors"
    )
    parser.add_argument("--depth", type=int, default=20, help="how many of the best are re-ranked")
    parser.add_argument(
        "--work", type=Path, default=Path("benchmarks/work/clothes_apart"), help="runs are resumed there"
    )
    parser.add_argument("--dry", action="store_true", help="a trial: print, write no result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.data.exists():
        subprocess.run([sys.executable, "-m", "limner.cli", "data", "get", "fashion-mnist", options.data], check=True)
    clothes = PictureSet.open(options.data)
    learned = options.work / "learned"
    if not learned.exists():
        PictureSet.write(learned, _of_classes(clothes, _LEARNED, ("train", "validation")))
    asking = _Asking.read(clothes)
    rows = [asking.row("pixels, cosine of what differs from their mean", asking.figures(asking.by_pixels()))]
    rows += asking.rows_of(_CLIP, _STIR, options.depth, names=(f"the CLIP `{_CLIP}`", f"`{_STIR}`"))
    for name, start, steps in (("random weights", None, options.steps), (f"`{_CLIP}`", _CLIP, options.tuned)):
        extractor, reranker, minutes = _train(learned, start, steps, options)
        names = (f"extractor from {name}, {minutes[0]:.0f} minutes", f"its STIR, {minutes[1]:.0f} minutes")
        rows += asking.rows_of(extractor, reranker, options.depth, names=names)
    head = ["", "R@1", "mAP@R", "errors at rank 1 removed, %"]
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{markdown_table(head, rows)}\n\n"
        f"The best {options.depth} are re-ranked. Learned: {', '.join(_LEARNED)}. Asked: {', '.join(_ASKED)}, "
        f"{len(asking.ids):,} pictures. Percent with 95 % intervals, those of removed errors paired."
    )
    if options.dry:
        print(body)
        return
    print(write_result("clothes_apart", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """The pictures that ask and are asked for, with the numbers of their classes."""

    pictures: Sequence[Image.Image]
    labels: np.ndarray
    ids: Sequence[str]

    @classmethod
    def read(cls, clothes: PictureSet) -> "_Asking":
        """Return the test pictures of the classes that training never sees."""
        asked = list(_of_classes(clothes, _ASKED, ("test",)))
        return cls(
            pictures=[decode_picture(record.picture) for record in asked],
            labels=np.unique([record.concept for record in asked], return_inverse=True)[1],
            ids=[record.id for record in asked],
        )

    def by_pixels(self) -> np.ndarray:
        """Return the cosines of pixels less the mean picture."""
        pixels = np.stack([np.asarray(picture.convert("L"), dtype=np.float32).ravel() for picture in self.pictures])
        return _alone(_cosines(pixels - pixels.mean(axis=0)))

    def rows_of(self, extractor: str, reranker: str, depth: int, *, names: tuple[str, str]) -> list[list[str]]:
        """Return the rows of an extractor and of its best, put into a new order."""
        first = _alone(_cosines(load_embedder(extractor).embed_pictures(self.pictures)))
        judge = load_reranker(reranker)
        parts = judge.picture_parts(self.pictures)
        again = rerank(first, parts, parts, judge, depth)
        before, after = self.figures(first), self.figures(again)
        removed = estimate_errors_removed(before["R@1"], after["R@1"], np.arange(len(self.ids)))
        return [self.row(names[0], before), self.row(f"and {names[1]}", after, percent(removed))]

    @staticmethod
    def row(name: str, figures: Mapping[str, np.ndarray], removed: str = "") -> list[str]:
        """Return a line of the table."""
        return [name, *(percent(estimate_mean(figures[each])) for each in ("R@1", "mAP@R")), removed]

    def figures(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Return the figures of every query."""
        others = np.arange(len(self.labels))
        relevant = [np.flatnonzero((self.labels == label) & (others != row)) for row, label in enumerate(self.labels)]
        ranks = ranks_of_relevant(scores, relevant, self.ids)
        return metric_learning_figures(ranks) | {"R@1": np.array([float(each[0] == 1) for each in ranks])}


def _train(
    learned: Path, start: str | None, steps: int, options: argparse.Namespace
) -> tuple[str, str, tuple[float, float]]:
    """Train an extractor and its re-ranker, or go on with them; return both and the minutes of each."""
    folder = options.work / (start or "random")
    settings = {**_SETTINGS, "loop.num_steps": steps, "loop.validate_every": steps // 4}
    settings |= {} if start else _FROM_RANDOM
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += [word for setting in options.settings for word in ("--set", setting)]
    begin = ["--from", start] if start else []
    minutes = (
        train_or_resume("metric", folder / "extractor", [*begin, "--data", learned, *words]),
        train_or_resume("stir", folder / "reranker", ["--data", learned, "--from", folder / "extractor"]),
    )
    return str(folder / "extractor"), str(folder / "reranker"), minutes


def _of_classes(clothes: PictureSet, classes: tuple[str, ...], splits: tuple[str, ...]) -> Iterator[Record]:
    rows = clothes.rows(["concept"], splits=splits)
    names = rows["concept"].to_pylist()
    chosen = [row for row, name in zip(rows["_row"].to_pylist(), names, strict=True) if name in classes]
    return iter(clothes.records(chosen))


def _cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def _alone(scores: np.ndarray) -> np.ndarray:
    """Return scores by which no picture finds itself before any other."""
    np.fill_diagonal(scores, scores.min() - 1)
    return scores


if __name__ == "__main__":
    main()
