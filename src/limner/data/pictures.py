"""Pictures shuffled anew each epoch, whose whole state is a position: batch n is a function of the seed and n."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import numpy as np
import torch

from limner.config import Count, Seed, Share, Whole
from limner.data.augmentation import AugmentationConfig, augment, keeping_colours
from limner.data.captions import CaptionChoice
from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.pixels import Pixels, images_of
from limner.data.tints import Tinted, tinted
from limner.errors import DataError, PictureError
from limner.types import ALONE, Images, PictureBatch, Rank

__all__ = ["LoaderConfig", "PictureLoader", "Pixels", "ShuffledPictures", "read_ahead"]

Batch = TypeVar("Batch")

_AT_A_TIME = 32
"""Pictures that are changed together: what one change leaves is still near the processor when the next one needs it."""


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """Batch and lessons over all processes, seed, threads that read ahead, and decoded pictures kept in memory.

    `tint_rate` is the share of captioned pictures drawn in one colour that their captions name (`data/tints.py`).
    """

    batch_size: Count = 256
    seed: Seed = 0
    num_lessons: Whole = 512
    num_threads: Whole = 2
    num_ahead: Whole = 4
    cache_bytes: Whole = 2 << 30
    captions: CaptionChoice = field(default_factory=CaptionChoice)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    tint_rate: Share = 0.0


class ShuffledPictures:
    """Pictures at places (set, row), each decoded once and kept while there is room, in a stream over the ranks.

    Element k of the stream is picture `order(k // size)[k % size]`: no batch is ever short, the order does not depend
    on threads or on the number of ranks, and starting at batch n costs nothing.
    """

    def __init__(
        self,
        sets: Sequence[PictureSet],
        places: Sequence[tuple[int, int]],
        config: LoaderConfig,
        *,
        image_size: int,
        rank: Rank = ALONE,
    ) -> None:
        self.sets, self.places, self.config = list(sets), places, config
        self.image_size, self.rank = image_size, rank
        self.num_broken = 0
        self._cache: dict[int, Pixels] = {}
        self._room = config.cache_bytes
        self._lock = threading.Lock()
        self._epoch = (-1, np.empty(0, dtype=np.int64))

    def elements(self, number: int) -> tuple[Sequence[int], list[int]]:
        """Return the places in the stream of this rank's part of a batch, and the pictures that stand there."""
        first = number * self.config.batch_size
        elements = range(first, first + self.config.batch_size)[self.rank.part(self.config.batch_size)]
        return elements, [self.item(element) for element in elements]

    def images(
        self, items: Sequence[int], seeds: Sequence[tuple[int, int]], tints: Sequence[Tinted | None] | None = None
    ) -> Images:
        """Return pictures, each changed at random by its seed; those with a tint are drawn in that colour."""
        parts = [slice(first, first + _AT_A_TIME) for first in range(0, len(items), _AT_A_TIME)]
        return torch.cat([self._changed(items[part], seeds[part], tints and tints[part]) for part in parts])

    def _changed(
        self, items: Sequence[int], seeds: Sequence[tuple[int, int]], tints: Sequence[Tinted | None] | None
    ) -> Images:
        images = images_of(self.pixels(items))
        augmentation = self.config.augmentation
        coloured = {place: tint for place, tint in enumerate(tints or ()) if tint is not None}
        if not coloured:
            return augment(images, seeds, augmentation)
        images[list(coloured)] = tinted(images[list(coloured)], list(coloured.values()))
        others = [place for place in range(len(items)) if place not in coloured]
        for places, config in ((others, augmentation), (list(coloured), keeping_colours(augmentation))):
            if places:
                images[places] = augment(images[places], [seeds[place] for place in places], config)
        return images

    def pixels(self, items: Sequence[int]) -> list[Pixels]:
        """Return decoded pictures, white where they cannot be decoded any more; what is not kept is read together."""
        found = {item: self._cache[item] for item in items if item in self._cache}
        missing: dict[int, list[int]] = {}
        for item in dict.fromkeys(items):
            if item not in found:
                missing.setdefault(self.places[item][0], []).append(item)
        for which, absent in missing.items():
            pictures = self.sets[which].pictures([self.places[item][1] for item in absent])
            found |= {item: self._decoded(picture) for item, picture in zip(absent, pictures, strict=True)}
            self._keep({item: found[item] for item in absent})
        return [found[item] for item in items]

    def _decoded(self, picture: bytes) -> Pixels:
        try:
            return np.asarray(square(decode_picture(picture, at_least=self.image_size), self.image_size))
        except PictureError:
            self.num_broken += 1
            return np.full((self.image_size, self.image_size, 3), 255, dtype=np.uint8)

    def _keep(self, pixels: Mapping[int, Pixels]) -> None:
        with self._lock:
            for item, each in pixels.items():
                if self._room >= each.nbytes and item not in self._cache:
                    self._room -= each.nbytes
                    self._cache[item] = each

    def item(self, element: int) -> int:
        """Return which picture stands at a place of the stream."""
        epoch, place = divmod(element, len(self.places))
        return int(self._order(epoch)[place])

    def _order(self, epoch: int) -> np.ndarray:
        with self._lock:
            if self._epoch[0] != epoch:
                generator = np.random.Generator(np.random.Philox(key=[self.config.seed, epoch]))
                self._epoch = (epoch, generator.permutation(len(self.places)))
            return self._epoch[1]


class PictureLoader:
    """The training pictures of one or several sets, with or without captions.

    Raises:
        DataError: if there is none.
    """

    def __init__(
        self,
        sets: Sequence[PictureSet],
        rows: Sequence[np.ndarray],
        config: LoaderConfig,
        *,
        image_size: int,
        rank: Rank = ALONE,
    ) -> None:
        places = [(which, row) for which, chosen in enumerate(rows) for row in chosen.tolist()]
        if not places:
            raise DataError("there is no picture to train on; give a set with a training split")
        self.pictures = ShuffledPictures(sets, places, config, image_size=image_size, rank=rank)
        self.config = config
        self.num_truncated = 0

    def __len__(self) -> int:
        """Return the number of pictures of one epoch."""
        return len(self.pictures.places)

    @property
    def num_broken(self) -> int:
        """How many pictures could not be decoded so far."""
        return self.pictures.num_broken

    def batches(self, start: int) -> Iterator[PictureBatch]:
        """Yield the batches from number `start` on, without end."""
        return read_ahead(self.batch, count(start), self.config)

    def batch(self, number: int) -> PictureBatch:
        """Return this rank's part of batch `number`."""
        elements, items = self.pictures.elements(number)
        return PictureBatch(images=self.pictures.images(items, [(self.config.seed, element) for element in elements]))


def read_ahead(make: Callable[[int], Batch], numbers: Iterable[int], config: LoaderConfig) -> Iterator[Batch]:
    """Yield the batches of these numbers in order, made ahead by threads."""
    remaining = iter(numbers)
    with ThreadPoolExecutor(max(config.num_threads, 1)) as pool:
        ahead: list[Future[Batch]] = []
        try:
            while True:
                for number in remaining:
                    ahead.append(pool.submit(make, number))
                    if len(ahead) >= max(config.num_ahead, 1):
                        break
                if not ahead:
                    return
                yield ahead.pop(0).result()
        finally:
            for future in ahead:
                future.cancel()
