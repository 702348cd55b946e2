"""Zero-shot accuracy: the share of pictures whose own class has the nearest words."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from limner.data.picture_set import PictureSet
from limner.evaluation.examples import Examples, normal_form
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.search.embedder import Embedder, Vectors
from limner.search.zero_shot import label_vectors

__all__ = ["judge_zero_shot", "name_classes"]

_MOST_CLASSES = 1000
_FEWEST_PICTURES = 20


def name_classes(pictures: PictureSet, examples: Examples) -> dict[str, str] | None:
    """Return the name of each concept if the concepts are classes: few, with many pictures each; otherwise None.

    A class is named by the tag that most of its pictures share or, if that does not tell the classes apart, by the
    caption.
    """
    num_classes = len(set(examples.concepts))
    if not 2 <= num_classes <= min(_MOST_CLASSES, len(examples.concepts) // _FEWEST_PICTURES):
        return None
    chosen = set(examples.rows)
    counts: dict[str, dict[str, Counter[str]]] = {"tags": {}, "captions": {}}
    for entry in pictures.rows(["id", "concept", "captions", "tags"]).to_pylist():
        if entry["_row"] in chosen:
            for column, found in counts.items():
                texts = {text["text"] for text in entry[column] or () if text["language"] in examples.languages}
                found.setdefault(entry["concept"] or entry["id"], Counter()).update(texts)
    for found in counts.values():
        names = {concept: _commonest(found[concept]) for concept in sorted(set(examples.concepts))}
        if len({normal_form(name) for name in names.values() if name}) == num_classes:
            return names
    return None


def judge_zero_shot(
    embedder: Embedder,
    examples: Examples,
    picture_vectors: Vectors,
    names: dict[str, str],
    *,
    templates: Sequence[str] | None = None,
) -> Estimate:
    """Return the share of pictures for which the prompts of their own concept's name have the highest cosine."""
    concepts = list(names)
    words = label_vectors(embedder, [names[concept] for concept in concepts], templates)
    nearest = (picture_vectors @ words.T).argmax(axis=1)
    truth = np.array([concepts.index(concept) for concept in examples.concepts])
    return estimate_mean((nearest == truth).astype(np.float64))


def _commonest(counts: Counter[str]) -> str:
    return min(counts, key=lambda text: (-counts[text], len(text), text), default="")
