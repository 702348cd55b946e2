"""The vectors of a collection in memory: exact scores of all, or of the cells of vectors nearest to a query."""

from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Resident", "nearest_cell", "train_centroids"]

# Half precision orders the candidates, single precision the hits.
_CANDIDATES_A_HIT = 4
_MORE_CANDIDATES = 32
_SAMPLES_A_CELL = 64
_ROUNDS = 10
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, kw_only=True)
class Resident:
    """Vectors (float16, sorted by cell), the row id and the position in the table of each, and where cells begin.

    `starts` has one number more than there are `centroids`; without centroids everything is one cell.
    """

    vectors: torch.Tensor
    row_ids: np.ndarray
    positions: np.ndarray
    centroids: np.ndarray
    starts: np.ndarray

    @classmethod
    def build(cls, vectors: np.ndarray, row_ids: np.ndarray, centroids: np.ndarray, cells: np.ndarray) -> "Resident":
        """Sort vectors by cell; `cells` is the number of each vector's cell, -1 where it is not known yet."""
        if not len(centroids):
            cells = np.zeros(len(vectors), dtype=np.int64)
        elif (cells < 0).any():
            cells = cells.copy()
            cells[cells < 0] = nearest_cell(vectors[cells < 0], centroids)
        order = np.argsort(cells, kind="stable") if len(centroids) else np.arange(len(vectors))
        counts = np.bincount(cells, minlength=max(len(centroids), 1))
        return cls(
            vectors=torch.from_numpy(vectors[order]),
            row_ids=row_ids[order],
            positions=order,
            centroids=centroids.astype(np.float32),
            starts=np.concatenate([[0], np.cumsum(counts)]),
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def search(
        self, query: np.ndarray, top: int, *, probes: int | None = None, row_ids: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions in the table and the scores of the best rows, best first.

        `probes` cells are looked at (default: all, which is exact); with `row_ids` exactly those rows are.
        """
        half = torch.from_numpy(query).half()
        if row_ids is not None:
            chosen = np.flatnonzero(np.isin(self.row_ids, row_ids))
            few = len(chosen) < len(self) // 8
            scores = self.vectors[chosen] @ half if few else (self.vectors @ half)[torch.from_numpy(chosen)]
            rows = chosen[_best(scores, top)]
        elif probes is None or probes >= len(self.centroids):
            rows = _best(self.vectors @ half, top)
        else:
            rows = self._probe(query, half, top, probes)
        exact = self.vectors[rows].float().numpy() @ query
        order = np.lexsort((self.positions[rows], -exact))[:top]
        return self.positions[rows[order]], exact[order]

    def probes_for(self, queries: np.ndarray, positions: np.ndarray, share: float) -> int:
        """Return how many of the cells nearest to each query hold that share of the `positions` [queries, n] given."""
        cells = np.empty(len(self), dtype=np.int64)
        cells[self.positions] = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        nearness = queries @ self.centroids.T
        own = np.take_along_axis(nearness, cells[positions], axis=1)
        nearer = (nearness[:, None, :] > own[:, :, None]).sum(axis=2)
        return 1 + int(np.quantile(nearer, share, method="inverted_cdf"))

    def _probe(self, query: np.ndarray, half: torch.Tensor, top: int, probes: int) -> np.ndarray:
        """Return the candidates among the rows of the nearest cells."""
        cells = np.argpartition(-(self.centroids @ query), probes)[:probes]
        starts, ends = self.starts[cells], self.starts[cells + 1]
        parts = [self.vectors[start:end] @ half for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        best = _best(torch.cat(parts), top)
        read = np.cumsum(ends - starts)
        part = np.searchsorted(read, best, side="right")
        return ends[part] - (read[part] - best)


def _best(scores: torch.Tensor, top: int) -> np.ndarray:
    """Return the places of more than enough of the highest scores, which are scored exactly afterwards."""
    return scores.float().topk(min(_CANDIDATES_A_HIT * top + _MORE_CANDIDATES, len(scores))).indices.numpy()


def train_centroids(vectors: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """Return unit centroids by spherical k-means over a sample of unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randperm(len(vectors), generator=generator)[: count * _SAMPLES_A_CELL]
    sample = torch.nn.functional.normalize(torch.from_numpy(vectors[picked.sort().values.numpy()]).float(), dim=1)
    centroids = sample[torch.randperm(len(sample), generator=generator)[:count]]
    for _ in range(_ROUNDS):
        cells = torch.cat([(rows @ centroids.T).argmax(dim=1) for rows in sample.split(_ROWS_AT_ONCE)])
        sums = torch.zeros_like(centroids).index_add_(0, cells, sample)
        empty = torch.bincount(cells, minlength=len(centroids)) == 0
        sums[empty] = sample[torch.randint(len(sample), (int(empty.sum()),), generator=generator)]
        centroids = torch.nn.functional.normalize(sums, dim=1)
    return centroids.numpy()


def nearest_cell(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the number of the centroid that each vector is nearest to."""
    parts = [
        (vectors[start : start + _ROWS_AT_ONCE].astype(np.float32) @ centroids.T).argmax(axis=1)
        for start in range(0, len(vectors), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
