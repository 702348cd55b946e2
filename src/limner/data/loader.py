"""Batches of captioned pictures whose whole state is a position: batch n is a function of the seed and n."""

import threading
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
import torch

from limner.data.captions import Captions, DrawnText
from limner.data.lessons import Lessons
from limner.data.picture_set import PictureSet
from limner.data.pictures import LoaderConfig, Pixels, ShuffledPictures, read_ahead
from limner.data.pixels import images_of
from limner.data.tints import Tinted, tints_of
from limner.data.tokenizer import Tokenizer
from limner.types import ALONE, CaptionedBatch, Images, Rank

__all__ = ["CaptionedLoader", "LoaderConfig", "read_ahead"]

_VIEWS = 1 << 40
"""Where the seeds of views begin, behind those of any stream."""


class CaptionedLoader:
    """The captioned training pictures of one or several sets, shuffled anew each epoch, split over the ranks.

    `captions` are those of the same rows, if they have been read before.

    Raises:
        DataError: if no picture has a caption.
    """

    def __init__(
        self,
        sets: Sequence[PictureSet],
        rows: Sequence[np.ndarray],
        tokenizer: Tokenizer,
        config: LoaderConfig,
        *,
        image_size: int,
        text_length: int,
        rank: Rank = ALONE,
        lessons: Lessons | None = None,
        captions: Captions | None = None,
    ) -> None:
        self.config, self.tokenizer, self.text_length = config, tokenizer, text_length
        self.rank = rank
        self.lessons = lessons
        self.captions = captions or Captions(sets, rows, config.captions)
        self.num_truncated = 0
        self._lock = threading.Lock()
        self.pictures = ShuffledPictures(sets, self.captions.places, config, image_size=image_size, rank=rank)

    def __len__(self) -> int:
        """Return the number of pictures of one epoch."""
        return len(self.captions)

    @property
    def num_broken(self) -> int:
        """How many pictures could not be decoded so far."""
        return self.pictures.num_broken

    def batches(self, start: int) -> Iterator[CaptionedBatch]:
        """Yield the batches from number `start` on, without end."""
        return read_ahead(self.batch, count(start), self.config)

    def batch(self, number: int) -> CaptionedBatch:
        """Return this rank's part of batch `number`."""
        elements, items = self.elements(number)
        seeds = [(self.config.seed, element) for element in elements]
        items, tints = self._tints(elements, items)
        tokens, drawn = self.texts(items, seeds, tints)
        return CaptionedBatch(
            images=self.pictures.images(items, seeds, tints),
            tokens=tokens,
            concepts=torch.tensor([self._concept(item, tint) for item, tint in zip(items, tints, strict=True)]),
            texts=torch.tensor([each.number for each in drawn]),
            **self._taught(items, drawn, number),
        )

    def elements(self, number: int) -> tuple[Sequence[int], list[int]]:
        """Return the places in the stream of this rank's part of a batch, and the pictures that stand there."""
        return self.pictures.elements(number)

    def images(self, items: Sequence[int], seeds: Sequence[tuple[int, int]]) -> Images:
        """Return pictures, each changed at random by its seed."""
        return self.pictures.images(items, seeds)

    def view(self, items: Sequence[int], view: int, num_views: int) -> Images:
        """Return a view of pictures: the first as they are, others changed at random, a share of them in a colour."""
        if not view:
            return images_of(self.pixels(items))
        seeds = [(self.config.seed, _VIEWS + item * num_views + view) for item in items]
        return self.pictures.images(items, seeds, [self.tint_of_view(item, view, num_views) for item in items])

    def tint_of_view(self, item: int, view: int, num_views: int) -> Tinted | None:
        """Return the colour that a view of a picture has been given, None if it has its own."""
        if not view or not self.config.tint_rate or not self.captions.takes_a_tint(item):
            return None
        return tints_of(_VIEWS + 2 * (item * num_views + view), self.config.seed, self.config.tint_rate)

    def pixels(self, items: Sequence[int]) -> list[Pixels]:
        """Return decoded pictures, white where they cannot be decoded any more."""
        return self.pictures.pixels(items)

    def texts(
        self, items: Sequence[int], seeds: Sequence[tuple[int, int]], tints: Sequence[Tinted | None] | None = None
    ) -> tuple[torch.Tensor, list[DrawnText]]:
        """Return a text of each picture, drawn by its seed, as tokens and as it was drawn."""
        drawn = [
            self.captions.draw(item, seed) if tint is None else self.captions.draw_tinted(item, tint)
            for item, seed, tint in zip(items, seeds, tints or [None] * len(items), strict=True)
        ]
        tokens, num_truncated = self.tokenizer.encode([each.text for each in drawn], self.text_length, seeds=seeds)
        with self._lock:
            self.num_truncated += num_truncated
        return tokens, drawn

    def _tints(self, elements: Sequence[int], items: list[int]) -> tuple[list[int], list[Tinted | None]]:
        """Return the pictures of a batch, and what becomes of them where two of the stream are one in two colours."""
        if not self.config.tint_rate:
            return items, [None] * len(items)
        firsts = [self.pictures.item(element - element % 2) for element in elements]
        tints = [
            tints_of(element, self.config.seed, self.config.tint_rate) if self.captions.takes_a_tint(first) else None
            for element, first in zip(elements, firsts, strict=True)
        ]
        chosen = [item if tint is None else first for item, first, tint in zip(items, firsts, tints, strict=True)]
        return chosen, tints

    def _concept(self, item: int, tint: Tinted | None) -> int:
        """Return the number of what a picture shows; a red apple is neither a green one nor an apple of any colour."""
        concept = self.captions.concepts[item]
        return concept if tint is None else self.captions.num_concepts * (1 + tint.tint) + concept

    def _taught(self, items: Sequence[int], drawn: Sequence[DrawnText], number: int) -> dict[str, torch.Tensor]:
        """Return what the teacher says of the drawn texts, and a batch's share of lessons."""
        if self.lessons is None:
            return {}
        meanings = [
            each.plain if each.plain in self.lessons else self._meaning(item)
            for item, each in zip(items, drawn, strict=True)
        ]
        seed = (self.config.seed, number, self.rank.number)
        drawn_lessons = self.lessons.draw(self.config.num_lessons // self.rank.count, seed)
        return {
            "teacher": torch.from_numpy(self.lessons.vectors(meanings)),
            "lessons": torch.from_numpy(self.lessons.targets(drawn_lessons)),
        }

    def _meaning(self, item: int) -> str:
        """Return the first caption of an item that the teacher knows; lessons hold one of every item."""
        assert self.lessons is not None
        return next(text for text in self.captions.every_text(item) if text in self.lessons)
