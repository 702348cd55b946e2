"""Batches that metric learning needs: balanced over labels and categories, or free of near copies.

As in `loader`, the whole state is a position: batch n is a function of the seed and n.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from limner.errors import DataError

__all__ = ["BalanceConfig", "BalancedBatches", "DistinctBatches", "joined_groups"]

Rows = Int[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True)
class BalanceConfig:
    """How many categories a batch has, labels a category, and instances a label; their product is the batch size."""

    num_categories: int = 5
    num_labels: int = 6
    num_instances: int = 4
    seed: int = 0


class BalancedBatches:
    """Batches of a few categories, a few labels of each, a few instances of each label.

    Negatives of one category are hard ones, and every label has positives. A label of one instance has no positive and
    is left out; what has fewer labels or instances than asked for gives all it has, for no row stands in a batch twice.
    `duplicates` numbers rows that look alike: of two such rows under different labels, which would be negatives of each
    other, a batch has the first only. Categories, the labels of a category and the instances of a label take turns in
    the order of a shuffle; what is left over at its end waits for the next. Labels and categories are counted from 0.

    Raises:
        DataError: if a label stands in two categories, or fewer categories than a batch needs are usable.
    """

    def __init__(
        self, labels: Rows, categories: Rows, config: BalanceConfig, *, duplicates: Rows | None = None
    ) -> None:
        if min(config.num_categories, config.num_labels, config.num_instances) < 1:
            raise DataError("a batch has at least one category, one label of it and one instance of that")
        self.config = config
        self.duplicates = np.arange(len(labels)) if duplicates is None else duplicates
        self.labels = labels
        self._instances = {label: rows for label, rows in _groups(labels).items() if len(rows) > 1}
        self._labels: dict[int, list[int]] = {}
        for label, rows in self._instances.items():
            if len(set(categories[rows].tolist())) > 1:
                raise DataError(f"label {label} stands in several categories; give each label one category")
            self._labels.setdefault(int(categories[rows[0]]), []).append(label)
        if len(self._labels) < config.num_categories:
            raise DataError(
                f"{len(self._labels)} categories have a label with two or more rows, but a batch needs "
                f"{config.num_categories}; lower num_categories"
            )

    def __len__(self) -> int:
        """Return the number of batches of one epoch, in which a category has one turn at most."""
        return len(self._labels) // self.config.num_categories

    def batch(self, number: int) -> Rows:
        """Return the rows of batch `number`, label by label."""
        epoch, place = divmod(number, len(self))
        order = self._shuffled(sorted(self._labels), 0, epoch)
        first = place * self.config.num_categories
        rows: list[int] = []
        for category in order[first : first + self.config.num_categories]:
            labels = sorted(self._labels[category])
            for label, turn in self._turns(labels, self.config.num_labels, epoch, 1 + 2 * category):
                instances = self._instances[label].tolist()
                rows += [row for row, _ in self._turns(instances, self.config.num_instances, turn, 2 + 2 * label)]
        return self._without_copies(np.array(rows))

    def _turns(self, members: list[int], size: int, turn: int, stream: int) -> list[tuple[int, int]]:
        """Return the members whose turn it is, `size` of every shuffle at a time, and the number of the shuffle."""
        size = min(size, len(members))
        cycle, place = divmod(turn, len(members) // size)
        return [(member, cycle) for member in self._shuffled(members, stream, cycle)[place * size : (place + 1) * size]]

    def _shuffled(self, members: list[int], stream: int, cycle: int) -> list[int]:
        generator = np.random.default_rng([self.config.seed, stream, cycle])
        return [members[place] for place in generator.permutation(len(members))]

    def _without_copies(self, rows: Rows) -> Int[np.ndarray, " kept"]:
        owner: dict[int, int] = {}
        return np.array(
            [row for row in rows if owner.setdefault(self.duplicates[row], self.labels[row]) == self.labels[row]]
        )


class DistinctBatches:
    """Batches for in-batch negatives: no two rows of a batch are of one group.

    Groups (a concept, a caption, near copies; `joined_groups` joins several such keys) are shuffled each epoch, laid
    end to end, and dealt out to the batches one row after the other, so that the rows of a group land in different
    batches. Of a group with more rows than an epoch has batches, the surplus waits for another epoch.

    Raises:
        DataError: if there are fewer groups than a batch has rows.
    """

    def __init__(self, groups: Rows, batch_size: int, *, seed: int = 0) -> None:
        self.batch_size, self.seed = batch_size, seed
        self._members = list(_groups(groups).values())
        if not 0 < batch_size <= len(self._members):
            raise DataError(
                f"a batch of {batch_size} rows of different groups cannot be made of {len(self._members)} groups; "
                "lower batch_size"
            )
        sizes = np.array([len(rows) for rows in self._members])
        self._length = len(groups) // batch_size
        while np.minimum(sizes, self._length).sum() < self._length * batch_size:
            self._length = int(np.minimum(sizes, self._length).sum()) // batch_size
        self._epoch = (-1, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of batches of one epoch."""
        return self._length

    def batch(self, number: int) -> Rows:
        """Return the rows of batch `number`."""
        epoch, place = divmod(number, self._length)
        return self._order(epoch)[place :: self._length][: self.batch_size]

    def _order(self, epoch: int) -> Rows:
        if self._epoch[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            groups = [self._members[place] for place in generator.permutation(len(self._members))]
            order = np.concatenate([generator.permutation(rows)[: self._length] for rows in groups])
            self._epoch = (epoch, order)
        return self._epoch[1]


def joined_groups(*keys: Rows) -> Rows:
    """Return one group a row, such that rows share a group if they share any key, directly or over other rows."""
    size = len(keys[0])
    parts = [np.unique(key, return_inverse=True)[1].reshape(-1) for key in keys]
    offsets = np.cumsum([size] + [part.max(initial=-1) + 1 for part in parts])
    columns = np.concatenate([part + offset for part, offset in zip(parts, offsets, strict=False)])
    rows = np.tile(np.arange(size), len(keys))
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(offsets[-1], offsets[-1]))
    return connected_components(graph, directed=False)[1][:size].astype(np.int64)


def _groups(keys: Rows) -> dict[int, np.ndarray]:
    """Return the rows of each key, in order."""
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))
