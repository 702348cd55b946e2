"""Batches for learning to rank: queries, a document that answers each, and documents mined against it."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int

from limner.data.loader import CaptionedLoader, read_ahead
from limner.types import RankingBatch, Side

__all__ = ["Negatives", "RankingLoader", "SideKind"]

SideKind = Literal["text", "picture"]
Negatives = Int[np.ndarray, "items negatives"]

# Draws for one element of the stream: its query, its document, and each of its mined negatives have their own.
_STREAM = 33


class RankingLoader:
    """Turns the stream of a `CaptionedLoader` into queries and documents; batch n is a function of n and the negatives.

    Where query and document are of one kind, the document is another picture or text of the query's concept if there is
    one, else the same picture changed by other random numbers, or another of its texts.
    """

    def __init__(self, loader: CaptionedLoader, *, query: SideKind, document: SideKind, num_mined: int) -> None:
        self.loader = loader
        self.query, self.document, self.num_mined = query, document, num_mined
        members: dict[int, list[int]] = {}
        for item, concept in enumerate(loader.captions.concepts):
            members.setdefault(concept, []).append(item)
        self._members = members

    def batches(self, start: int, stop: int | None, negatives: Negatives | None) -> Iterator[RankingBatch]:
        """Yield the batches from `start` up to `stop` (None: without end).

        `negatives` are the items mined for each item, -1 where there are fewer; without them no document is mined.
        """
        numbers = count(start) if stop is None else range(start, stop)
        return read_ahead(lambda number: self.batch(number, negatives), numbers, self.loader.config)

    def batch(self, number: int, negatives: Negatives | None) -> RankingBatch:
        """Return batch `number`."""
        elements, items = self.loader.elements(number)
        pairs = list(zip(elements, items, strict=True))
        documents = [self._answer(item, element) for element, item in pairs]
        seeds = [self._seed(element, 1) for element in elements]
        num_mined = 0 if negatives is None else self.num_mined
        if negatives is not None:
            for element, item in pairs:
                documents += self._mined(item, element, negatives)
                seeds += [self._seed(element, 2 + place) for place in range(num_mined)]
        return RankingBatch(
            queries=self._side(self.query, items, [self._seed(element, 0) for element in elements]),
            documents=self._side(self.document, documents, seeds),
            num_mined=num_mined,
            num_items=len(self.loader),
        )

    def _side(self, kind: SideKind, items: Sequence[int], seeds: Sequence[tuple[int, int]]) -> Side:
        captions = self.loader.captions
        concepts = torch.tensor([captions.concepts[item] for item in items])
        if kind == "text":
            tokens, drawn = self.loader.texts(items, seeds)
            return Side(concepts=concepts, texts=torch.tensor([each.number for each in drawn]), tokens=tokens)
        numbers = [captions.draw(item, seed).number for item, seed in zip(items, seeds, strict=True)]
        return Side(concepts=concepts, texts=torch.tensor(numbers), images=self.loader.images(items, seeds))

    def _answer(self, item: int, element: int) -> int:
        if self.query != self.document:
            return item
        others = [other for other in self._members[self.loader.captions.concepts[item]] if other != item]
        return others[int(self._generator(element, 1).integers(len(others)))] if others else item

    def _mined(self, item: int, element: int, negatives: Negatives) -> list[int]:
        """Return some of the negatives mined for an item; where too few were found, any others."""
        generator = self._generator(element, 2)
        found = negatives[item][negatives[item] >= 0]
        chosen = generator.permutation(found)[: self.num_mined].tolist()
        while len(chosen) < self.num_mined:
            chosen.append(int(generator.integers(len(self.loader))))
        return [int(each) for each in chosen]

    def _seed(self, element: int, stream: int) -> tuple[int, int]:
        return self.loader.config.seed + (stream << _STREAM), element

    def _generator(self, element: int, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([*self._seed(element, stream), 1])))
