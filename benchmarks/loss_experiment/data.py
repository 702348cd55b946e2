"""Features of the training pictures and of the protocols that judge, with what answers what."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS
from limner.data.picture_set import PictureSet
from limner.evaluation.examples import gather_examples
from limner.evaluation.ranking import Items
from limner.evaluation.retrieval import relevant_pictures
from loss_experiment.features import PLAIN, picture_features, text_features

__all__ = ["CHOOSING", "TESTS", "Batch", "Judged", "Training", "draw_batch", "load_judged", "load_training"]

TESTS: dict[str, Callable[[pa.Table], list[int]]] = {name: PROTOCOLS[name].rows for name in ("U", "S")}
CHOOSING: dict[str, Callable[[pa.Table], list[int]]] = {name: PROTOCOLS[name].rows for name in ("V-U", "V-S")}
_CAPTION_RATE = 0.65
_TAG_TEXTS, _MOST_TAGS = 3, 3
_LANGUAGES = ("en", "")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Pictures in several views, and for each the numbers of its texts: the caption, then a few of its tags."""

    pictures: torch.Tensor
    texts: torch.Tensor
    choices: torch.Tensor
    concepts: torch.Tensor
    related: torch.Tensor

    def __len__(self) -> int:
        return len(self.concepts)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Features of pictures and texts in pairs, and the numbers of their items, concepts and texts."""

    pictures: torch.Tensor
    texts: torch.Tensor
    items: torch.Tensor
    concepts: torch.Tensor
    text_numbers: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One protocol: captions that search, pictures that are searched, and the groups that queries come in."""

    pictures: torch.Tensor
    texts: torch.Tensor
    relevant: list[Items]
    ids: list[str]
    groups: np.ndarray


def load_training(pictures: PictureSet, folder: Path, *, num_views: int, limit: int | None) -> Training:
    """Return the captioned training pictures; `limit` keeps that many, evenly spread, for a trial."""
    table = pictures.rows(["concept", "group", "captions", "tags"], splits=("train",))
    entries = [entry for entry in table.to_pylist() if _english(entry["captions"])]
    entries = _spread(entries, limit)
    said = [_texts(entry) for entry in entries]
    texts = sorted({text for few in said for text in few})
    numbers = {text: number for number, text in enumerate(texts)}
    names, concepts = np.unique([entry["concept"] for entry in entries], return_inverse=True)
    rows = [entry["_row"] for entry in entries]
    return Training(
        pictures=torch.stack([picture_features(pictures, rows, view, folder) for view in range(num_views)]),
        texts=text_features(texts, folder),
        choices=torch.tensor([[numbers[text] for text in few] for few in said]),
        concepts=torch.from_numpy(concepts),
        related=_related(entries, concepts, len(names)),
    )


def load_judged(
    pictures: PictureSet, folder: Path, protocols: dict[str, Callable[[pa.Table], list[int]]], *, limit: int | None
) -> dict[str, Judged]:
    """Return the features of each protocol's pictures and English captions."""
    table = pictures.rows([*COLUMNS, "group"])
    groups = table["group"].to_pylist()
    found = {}
    for name, choose in protocols.items():
        examples = gather_examples(pictures, rows=_spread(choose(table), limit), language="en")
        found[name] = Judged(
            pictures=picture_features(pictures, examples.rows, PLAIN, folder).float(),
            texts=text_features(examples.captions, folder),
            relevant=relevant_pictures(examples),
            ids=list(examples.ids),
            groups=np.unique([groups[examples.rows[owner]] for owner in examples.owners], return_inverse=True)[1],
        )
    return found


def draw_batch(data: Training, seed: int, step: int, batch_size: int) -> Batch:
    """Return the batch of a step: each picture once an epoch, its view and text drawn; a function of seed and step."""
    per_epoch = len(data) // batch_size
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(len(data))
    items = torch.from_numpy(order[place * batch_size : (place + 1) * batch_size])
    draws = np.random.default_rng((seed, epoch, place))
    views = torch.from_numpy(draws.integers(len(data.pictures), size=batch_size))
    tagged = draws.integers(1, data.choices.shape[1], size=batch_size)
    choice = torch.from_numpy(np.where(draws.random(batch_size) < _CAPTION_RATE, 0, tagged))
    text_numbers = data.choices[items, choice]
    return Batch(
        pictures=data.pictures[views, items].float(),
        texts=data.texts[text_numbers],
        items=items,
        concepts=data.concepts[items],
        text_numbers=text_numbers,
    )


def _texts(entry: dict[str, Any]) -> list[str]:
    """Return the caption and some draws of tags, the same for every picture of a concept."""
    caption, tags = _english(entry["captions"])[0], _english(entry["tags"])
    draws = np.random.default_rng(zlib.crc32(entry["concept"].encode()))
    few = [draws.permutation(len(tags))[:_MOST_TAGS] for _ in range(_TAG_TEXTS)]
    return [caption, *(", ".join(tags[place] for place in places) or caption for places in few)]


def _related(entries: Sequence[dict[str, Any]], concepts: np.ndarray, num_concepts: int) -> torch.Tensor:
    """Return concepts x concepts, whether two are of one group or share a tag."""
    marks: dict[str, int] = {}
    pairs = set()
    for entry, concept in zip(entries, concepts.tolist(), strict=True):
        for mark in (f"group {entry['group']}", *(f"tag {tag}" for tag in _english(entry["tags"]))):
            pairs.add((concept, marks.setdefault(mark, len(marks))))
    incidence = torch.zeros(num_concepts, len(marks))
    incidence[tuple(torch.tensor(sorted(pairs)).T)] = 1
    return incidence @ incidence.T > 0


def _english(texts: Sequence[dict[str, str]] | None) -> list[str]:
    return [each["text"] for each in texts or () if each["language"] in _LANGUAGES]


def _spread(things: list[Any], limit: int | None) -> list[Any]:
    if limit is None or limit >= len(things):
        return things
    return [things[place * len(things) // limit] for place in range(limit)]
