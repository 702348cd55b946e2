"""Hard negatives: what the current index finds for a query and is wrong (ANCE, https://arxiv.org/abs/2007.00808).

Training reads them from a file, so that it never knows who mined them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from limner.errors import TrainingError
from limner.search.embedder import Vectors

__all__ = ["MinedNegatives", "MiningConfig", "mine_negatives", "read_negatives", "write_negatives"]

_ROWS_AT_ONCE = 512

Keys = Int[np.ndarray, "items keys"]
MinedNegatives = Int[np.ndarray, "items depth"]


@dataclass(frozen=True, kw_only=True)
class MiningConfig:
    """How many negatives are kept for each query, how often they are mined anew, and which are not trusted.

    They are mined before the first step, and then every `every` steps (0: never again). A document that scores above
    the best positive less `absolute_margin` (of the cosine) and less the share `relative_margin` of it is taken for a
    false negative (NV-Retriever keeps what is below 95 %, https://arxiv.org/abs/2407.15831). With `trusts_labels` none
    is: where labels are exact, what stands above the best positive is the hardest negative.
    """

    every: int = 0
    depth: int = 50
    absolute_margin: float = 0.0
    relative_margin: float = 0.05
    trusts_labels: bool = False

    def __post_init__(self) -> None:
        """Check that the numbers are counts and margins."""
        if self.depth < 1 or self.every < 0 or min(self.absolute_margin, self.relative_margin) < 0:
            raise ValueError("depth must be at least 1, every and the margins at least 0")


def mine_negatives(queries: Vectors, documents: Vectors, keys: Keys, config: MiningConfig) -> MinedNegatives:
    r"""Return for each query the best documents that are no answers, best first, -1 where there are fewer.

    Query i and document i belong to item i. Documents that share any key with the query (its concept, its text) are
    answers, never negatives; of the others those count for which

    .. math:: s_{ij} \le s_{i+} - a - r |s_{i+}|, \qquad s_{i+} = \max_{p \in P_i} s_{ip}

    (all of them, if labels are trusted). Memory holds the scores of 512 queries at a time.
    """
    depth = min(config.depth, len(documents))
    found = np.full((len(queries), config.depth), -1, dtype=np.int32)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        scores = queries[rows] @ documents.T
        answers = (keys[rows, None, :] == keys[None, :, :]).any(axis=2)
        best = np.where(answers, scores, -np.inf).max(axis=1, keepdims=True)
        limit = best - config.absolute_margin - config.relative_margin * np.abs(best)
        limit = np.full_like(best, np.inf) if config.trusts_labels else limit
        scores = np.where(answers | (scores > limit), -np.inf, scores)
        order = np.sort(np.argpartition(-scores, depth - 1, axis=1)[:, :depth], axis=1)
        highest = np.take_along_axis(scores, order, axis=1)
        ranks = np.argsort(-highest, axis=1, kind="stable")
        kept = np.where(np.isfinite(highest), order, -1)
        found[rows, :depth] = np.take_along_axis(kept, ranks, axis=1)
    return found


def write_negatives(path: Path, negatives: MinedNegatives) -> None:
    """Write mined negatives, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file({"negatives": negatives}, partial)
    partial.replace(path)


def read_negatives(path: Path) -> MinedNegatives:
    """Read mined negatives.

    Raises:
        TrainingError: if the file is damaged.
    """
    try:
        return load_file(path)["negatives"]
    except (OSError, KeyError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); remove it to have the negatives mined again") from None
