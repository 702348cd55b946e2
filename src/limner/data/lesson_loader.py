"""Batches of lessons whose whole state is a position, as those of pictures; texts of like length stand together."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch

from limner.data.lessons import Lessons
from limner.data.loader import LoaderConfig, read_ahead
from limner.data.tokenizer import Tokenizer
from limner.types import ALONE, PADDING_TOKEN, LessonBatch, Rank

__all__ = ["LessonLoader"]

_POOL = 8


class LessonLoader:
    """The texts of a teacher's lessons, drawn by weight.

    Batches n of one pool of eight are drawn together, sorted by length and shuffled: a batch then costs about its mean
    length, not that of its longest text.
    """

    def __init__(
        self,
        lessons: Lessons,
        tokenizer: Tokenizer,
        config: LoaderConfig,
        *,
        text_length: int,
        rank: Rank = ALONE,
    ) -> None:
        self.lessons, self.config = lessons, config
        self.rank = rank
        self._tokens, self.num_truncated = tokenizer.encode(lessons.texts, text_length)
        self._lengths = (self._tokens != PADDING_TOKEN).sum(dim=1).numpy()
        self.num_broken = 0

    def __len__(self) -> int:
        """Return the number of different lessons."""
        return len(self.lessons)

    def batches(self, start: int) -> Iterator[LessonBatch]:
        """Yield the batches from number `start` on, without end."""
        return read_ahead(self.batch, count(start), self.config)

    def batch(self, number: int) -> LessonBatch:
        """Return this rank's part of batch `number`."""
        pool, place = divmod(number, _POOL)
        size, seed = self.config.batch_size, (self.config.seed, pool)
        rows = self.lessons.draw(_POOL * size, seed)
        rows = rows[np.argsort(self._lengths[rows], kind="stable")]
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([*seed, 2])))
        first = int(generator.permutation(_POOL)[place]) * size
        chosen = rows[first : first + size][self.rank.part(size)]
        return LessonBatch(
            tokens=self._tokens[torch.from_numpy(chosen)], teacher=torch.from_numpy(self.lessons.targets(chosen))
        )
