"""Held-out pictures and captions that judge a model while it learns: text -> picture R@k, MRR and mAP."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.progress import Say
from limner.data.splitting import hash_share
from limner.errors import PictureError
from limner.evaluation.ranking import figures_of_vectors
from limner.search.embedder import Embedder

__all__ = ["HeldOut"]

_MOST_PICTURES = 1000
_SHOWN = ("R@1", "R@5", "R@10", "MRR", "mAP")


class HeldOut:
    """At most a thousand held-out pictures, kept decoded, with one caption each in the language most of them have.

    A picture answers a caption if it shows the concept of the caption's own picture or has the same caption.
    """

    def __init__(self, sets: Sequence[PictureSet], rows: Sequence[np.ndarray], *, say: Say) -> None:
        found: list[dict[str, Any]] = []
        for which, (pictures, chosen) in enumerate(zip(sets, rows, strict=True)):
            table = pictures.rows(["id", "captions", "concept"])
            for row in chosen.tolist():
                entry = {name: table[name][row].as_py() for name in ("id", "captions", "concept")}
                if entry["captions"]:
                    found.append(entry | {"which": which, "row": row, "order": hash_share(entry["id"])})
        found = sorted(found, key=lambda entry: entry["order"])[:_MOST_PICTURES]
        language = _most_common(found)
        self.captions: list[str] = []
        self.concepts: list[str] = []
        self.pictures: list[bytes] = []
        for entry in found:
            texts = {caption["language"]: caption["text"] for caption in reversed(entry["captions"])}
            self.captions.append(texts.get(language) or entry["captions"][0]["text"])
            self.concepts.append(entry["concept"] or f"{entry['which']}/{entry['id']}")
            self.pictures.append(sets[entry["which"]].pictures([entry["row"]])[0])
        self._squares: dict[int, list[Image.Image]] = {}
        if not found:
            say("warning: nothing is held out (too few pictures); the last weights are kept, unjudged")

    def __len__(self) -> int:
        """Return the number of held-out pictures."""
        return len(self.captions)

    def figures(self, embedder: Embedder) -> dict[str, float]:
        """Return text -> picture R@1, R@5, R@10, MRR and mAP of a model; nothing if nothing is held out."""
        if not self.captions:
            return {}
        pictures = embedder.embed_pictures(self._squared(embedder.image_size))
        texts = embedder.embed_texts(self.captions)
        by_concept: dict[str, set[int]] = {}
        by_caption: dict[str, set[int]] = {}
        for item, (concept, caption) in enumerate(zip(self.concepts, self.captions, strict=True)):
            by_concept.setdefault(concept, set()).add(item)
            by_caption.setdefault(caption.casefold(), set()).add(item)
        relevant = [
            np.array(sorted(by_concept[concept] | by_caption[caption.casefold()]))
            for concept, caption in zip(self.concepts, self.captions, strict=True)
        ]
        ids = [f"{item:06d}" for item in range(len(relevant))]
        values = figures_of_vectors(texts, pictures, relevant, ids)
        return {name: float(values[name].mean()) for name in _SHOWN}

    def _squared(self, size: int) -> list[Image.Image]:
        if size not in self._squares:
            self._squares[size] = [_square(data, size) for data in self.pictures]
        return self._squares[size]


def _square(data: bytes, size: int) -> Image.Image:
    try:
        return square(decode_picture(data), size)
    except PictureError:
        return Image.new("RGB", (size, size), "white")


def _most_common(entries: Sequence[dict[str, Any]]) -> str:
    languages = [caption["language"] for entry in entries for caption in entry["captions"]]
    counts = {language: languages.count(language) for language in set(languages)}
    return max(sorted(counts), key=lambda name: (counts[name], name == "en"), default="")
