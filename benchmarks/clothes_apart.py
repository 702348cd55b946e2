"""Does an extractor that learned five kinds of clothes tell apart five others, and does re-ranking help?

    python benchmarks/clothes_apart.py [--steps 400]

Fashion-MNIST with its classes split: an extractor learns five of them by batch-hard triplets from random weights, STIR
learns from it. Each test picture of the other five classes asks among all others of them; R@1 is how often the nearest
is of its own class. Pixels stand beside them.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

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
_SETTINGS = {
    "model.vision.image_size": 28,
    "model.vision.stem_stride": 1,
    "objective.loss": "soft_triplet",
    "metric.num_instances": 32,
    "loader.batch_size": 160,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/work/fashion-mnist"), help="made if missing")
    parser.add_argument("--steps", type=int, default=400, help="of the extractor")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="a further setting of the extractor"
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
    settings = {**_SETTINGS, "loop.num_steps": options.steps, "loop.validate_every": options.steps // 4}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += [word for setting in options.settings for word in ("--set", setting)]
    minutes = [train_or_resume("metric", options.work / "extractor", ["--data", learned, *words])]
    begun = ["--data", learned, "--from", options.work / "extractor"]
    minutes.append(train_or_resume("stir", options.work / "reranker", begun))

    asked = list(_of_classes(clothes, _ASKED, ("test",)))
    pictures = [decode_picture(record.picture) for record in asked]
    labels = np.unique([record.concept for record in asked], return_inverse=True)[1]
    pixels = np.stack([np.asarray(picture.convert("L"), dtype=np.float32).ravel() for picture in pictures])
    embedder, reranker = (
        load_embedder(options.work / "extractor"),
        load_reranker(options.work / "reranker"),
    )
    first = _alone(_cosines(embedder.embed_pictures(pictures)))
    parts = reranker.picture_parts(pictures)
    again = rerank(first, parts, parts, reranker, options.depth)
    contenders = {
        "pixels, cosine of what differs from their mean": _alone(_cosines(pixels - pixels.mean(axis=0))),
        f"extractor, {minutes[0]:.0f} minutes": first,
        f"and STIR on the best {options.depth}, {minutes[1]:.0f} minutes": again,
    }
    rows, found = [], {}
    for name, scores in contenders.items():
        figures = _figures(scores, labels, [record.id for record in asked])
        found[name] = figures["R@1"]
        rows.append([name, percent(estimate_mean(figures["R@1"])), percent(estimate_mean(figures["mAP@R"]))])
    removed = estimate_errors_removed(*list(found.values())[1:], np.arange(len(asked)))
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{markdown_table(['', 'R@1', 'mAP@R'], rows)}\n\n"
        f"- STIR removes {percent(removed)} % of the errors at rank 1\n\n"
        f"Learned: {', '.join(_LEARNED)}. Asked: {', '.join(_ASKED)}, {len(asked):,} pictures. Percent with "
        "95 % intervals."
    )
    if options.dry:
        print(body)
        return
    print(write_result("clothes_apart", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


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


def _figures(scores: np.ndarray, labels: np.ndarray, ids: list[str]) -> dict[str, np.ndarray]:
    relevant = [np.flatnonzero((labels == label) & (np.arange(len(labels)) != row)) for row, label in enumerate(labels)]
    ranks = ranks_of_relevant(scores, relevant, ids)
    return metric_learning_figures(ranks) | {"R@1": np.array([float(each[0] == 1) for each in ranks])}


if __name__ == "__main__":
    main()
