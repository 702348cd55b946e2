"""What finds the same thing drawn differently: pixels, a frozen network, embedders, and re-rankers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from limner.data.builtin.protocols import COLUMNS, drawings
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from limner.data.pixels import stack_images
from limner.data.thumbnails import thumbnail
from limner.evaluation.drawings import DrawingTest, drawing_tests, drawing_values, first_scores, rerank_drawings
from limner.evaluation.examples import Examples, embed_pictures, gather_pictures, read_parts
from limner.interop.efficientnet import load_efficientnet_lite0
from limner.models.checkpoints import resolve
from limner.models.stir import STIR
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualTrunk
from limner.search.embedder import Vectors, load_embedder
from limner.search.reranker import load_reranker

__all__ = [
    "Gallery",
    "Ranking",
    "by_extractor",
    "by_network",
    "by_pixels",
    "by_reranker",
    "describe_stir",
    "extractor_of",
    "gather_gallery",
]

_IMAGE_SIZE = 80
_AT_ONCE = 64

Scores = list[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The drawings that can be decoded, what each family asks of them, and a folder for what has been computed."""

    pictures: PictureSet
    examples: Examples
    tests: Sequence[DrawingTest]
    work: Path

    def decoded(self, places: Sequence[int], *, at_least: int) -> list[Image.Image]:
        """Return the drawings at places of the examples."""
        rows = [self.examples.rows[place] for place in places]
        return [decode_picture(data, at_least=at_least) for data in self.pictures.pictures(rows)]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Scores of one model by test; `kind` is shared by its seeds, `first` are those of what it re-ranks."""

    kind: str
    scores: Scores
    first: "Ranking | None" = None
    source: str = ""

    def values(self, gallery: Gallery) -> list[dict[str, np.ndarray]]:
        """Return the figures of each query, by test."""
        return [drawing_values(test, scores) for test, scores in zip(gallery.tests, self.scores, strict=True)]


def gather_gallery(data: Path, split: str, model: str, work: Path) -> Gallery:
    """Return what the protocol D asks of a split of the set pictograms; a model that embeds says what is decoded."""
    pictures = PictureSet.open(data)
    rows = drawings(pictures.rows(COLUMNS), split=split)
    needed = sorted({row for asking, gallery in rows.values() if gallery for row in (*asking, *gallery)})
    if not needed:
        raise SystemExit(f"{data} has no such drawings; make it with `limner data get pictograms`")
    found = embed_pictures(load_embedder(model), pictures, gather_pictures(pictures, needed))[0]
    return Gallery(pictures=pictures, examples=found, tests=drawing_tests(found, rows), work=work)


def by_pixels(gallery: Gallery) -> Ranking:
    """Rank by the distance of 16 x 16 pixels."""
    every = range(len(gallery.examples.rows))
    shown = [thumbnail(gallery.decoded([place], at_least=_IMAGE_SIZE)[0]) for place in every]
    pixels = torch.from_numpy(np.stack(shown).reshape(len(shown), -1).astype(np.float32))
    scores = [-torch.cdist(pixels[test.asking], pixels[test.gallery]).numpy() for test in gallery.tests]
    return Ranking(kind="16 x 16 pixels, Euclidean distance", scores=scores)


@torch.inference_mode()
def by_network(gallery: Gallery) -> Ranking:
    """Rank by what EfficientNet-Lite0 has learned from ImageNet; a ModelError if its package is missing."""
    trunk = InvertedResidualTrunk(InvertedResidualConfig(image_size=_IMAGE_SIZE))
    load_efficientnet_lite0(trunk)
    trunk.eval()
    every = range(len(gallery.examples.rows))
    features = [
        trunk(stack_images(gallery.decoded(every[start : start + _AT_ONCE], at_least=_IMAGE_SIZE), _IMAGE_SIZE))
        for start in range(0, len(every), _AT_ONCE)
    ]
    vectors = torch.nn.functional.normalize(torch.cat(features), dim=1).numpy()
    return Ranking(kind="ImageNet's EfficientNet-Lite0, frozen", scores=_cosines(gallery, vectors))


def by_extractor(gallery: Gallery, model: str, *, kind: str = "") -> Ranking:
    """Rank by the embeddings of a CLIP or of what `limner train metric` made."""
    embedder = load_embedder(model)
    vectors = embed_pictures(embedder, gallery.pictures, gallery.examples)[1]
    trunk = embedder.model.config.vision.kind
    return Ranking(kind=kind or f"extractor, {trunk}", scores=_cosines(gallery, vectors), source=model)


def by_reranker(gallery: Gallery, model: str, first: Ranking, depth: int) -> Ranking:
    """Order the `depth` best of another ranking anew; what has been computed before is read from disk."""
    reranker = load_reranker(model)
    digest = hashlib.sha256("\n".join([reranker.fingerprint, str(depth), *gallery.examples.ids]).encode())
    for scores in first.scores:
        digest.update(scores.astype(np.float32).tobytes())
    path = gallery.work / f"{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        parts = read_parts(reranker, gallery.pictures, gallery.examples)
        again = [
            rerank_drawings(test, scores, parts, reranker, depth)
            for test, scores in zip(gallery.tests, first.scores, strict=True)
        ]
        gallery.work.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, *again)
        partial.replace(path)
    with np.load(path) as kept:
        scores = [kept[f"arr_{number}"] for number in range(len(gallery.tests))]
    return Ranking(kind=f"{first.kind} {describe_stir(reranker.model)}", scores=scores, first=first, source=model)


def extractor_of(reranker: str, extractors: Sequence[Ranking]) -> Ranking:
    """Return the extractor that a re-ranker started from, says its run; a shipped one orders what the first found."""
    run = Path(reranker, "run.json")
    if not run.is_file():
        return extractors[0]
    initial = json.loads(run.read_text(encoding="utf-8"))["initial"]
    for extractor in extractors:
        if initial and resolve(initial).resolve() == resolve(extractor.source).resolve():
            return extractor
    raise SystemExit(f"{reranker} started from '{initial}', which is none of the extractors; give that one too")


def describe_stir(model: torch.nn.Module) -> str:
    """Return what a row of a table calls a re-ranker."""
    if not isinstance(model, STIR):
        return f"+ {type(model).__name__}"
    config = model.config
    layers = f", {config.num_separate} of {config.depth} layers alone" if config.form == "cached" else ""
    order = "" if config.is_symmetric or config.form == "interaction" else ", one order"
    trunk = ", vit" if config.vision.kind == "vit" else ""
    return f"+ STIR {config.form}{layers}{order}{trunk}"


def _cosines(gallery: Gallery, vectors: Vectors) -> Scores:
    return [first_scores(test, vectors) for test in gallery.tests]
