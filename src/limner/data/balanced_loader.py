"""Batches for metric learning: a few concepts, several pictures of each."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from jaxtyping import Int

from limner.data.balancing import BalanceConfig, BalancedBatches
from limner.data.loader import CaptionedLoader, read_ahead
from limner.types import CaptionedBatch

__all__ = ["BalancedLoader"]

# Draws of these batches are apart from those of the plain stream.
_STREAM = 5 << 33


class BalancedLoader:
    """The pictures of a `CaptionedLoader` in balanced batches, each augmented on its own; batch n is a function of n.

    `categories` and `duplicates` number each picture's category and its like, as in `BalancedBatches`.

    Raises:
        DataError: if no concept has two pictures.
    """

    def __init__(
        self,
        loader: CaptionedLoader,
        balance: BalanceConfig,
        *,
        categories: Int[np.ndarray, " items"],
        duplicates: Int[np.ndarray, " items"] | None = None,
    ) -> None:
        self.loader = loader
        self._size = balance.num_categories * balance.num_labels * balance.num_instances
        self._batches = BalancedBatches(np.array(loader.captions.concepts), categories, balance, duplicates=duplicates)

    def batches(self, start: int) -> Iterator[CaptionedBatch]:
        """Yield the batches from number `start` on, without end."""
        return read_ahead(self.batch, count(start), self.loader.config)

    def batch(self, number: int) -> CaptionedBatch:
        """Return this rank's part of batch `number`, concept by concept."""
        part = self.loader.rank.part(self._size)
        items = self._batches.batch(number).tolist()[part]
        first = number * self._size + part.start
        seeds = [(self.loader.config.seed + _STREAM, first + place) for place in range(len(items))]
        tokens, drawn = self.loader.texts(items, seeds)
        return CaptionedBatch(
            images=self.loader.images(items, seeds),
            tokens=tokens,
            concepts=torch.tensor([self.loader.captions.concepts[item] for item in items]),
            texts=torch.tensor([each.number for each in drawn]),
        )
