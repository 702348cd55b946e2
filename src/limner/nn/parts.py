"""Pictures and texts as parts: a vector for each token, patch or place of a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["Parts", "behind", "carried", "every_pair", "joined", "num_carriers", "whole", "with_carried"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Sequences of vectors, padded at the end; `mask` is true where a part is real."""

    vectors: Float[Tensor, "batch length dim"]
    mask: Bool[Tensor, "batch length"]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.mask)

    def take(self, rows: Int[Tensor, " rows"]) -> "Parts":
        """Return the sequences at these places."""
        return Parts(vectors=self.vectors[rows], mask=self.mask[rows])


def whole(vectors: Float[Tensor, "batch length dim"]) -> Parts:
    """Return sequences all of whose parts are real."""
    return Parts(vectors=vectors, mask=torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device))


def num_carriers(embed_dim: int, dim: int) -> int:
    """Return in how many parts of width `dim` an embedding travels in front of the others."""
    return -(-embed_dim // dim)


def with_carried(
    embeddings: Float[Tensor, "batch embed_dim"],
    vectors: Float[Tensor, "batch length dim"],
    mask: Bool[Tensor, "batch length"] | None = None,
) -> Parts:
    """Return sequences with an embedding in front, in as many parts as it takes; `carried` reads it.

    The last of these parts is filled up with zeros. Without a mask all parts are real.
    """
    batch, _, dim = vectors.shape
    count = num_carriers(embeddings.shape[1], dim)
    filled = functional.pad(embeddings, (0, count * dim - embeddings.shape[1]))
    parts = whole(torch.cat([filled.view(batch, count, dim), vectors.float()], dim=1))
    return parts if mask is None else Parts(vectors=parts.vectors, mask=functional.pad(mask, (count, 0), value=True))


def carried(parts: Parts, embed_dim: int) -> Float[Tensor, "batch embed_dim"]:
    """Return the embeddings that travel in front of sequences."""
    count = num_carriers(embed_dim, parts.vectors.shape[2])
    return parts.vectors[:, :count].flatten(1)[:, :embed_dim]


def behind(parts: Parts, embed_dim: int) -> Parts:
    """Return sequences without the embeddings that travel in front of them."""
    count = num_carriers(embed_dim, parts.vectors.shape[2])
    return Parts(vectors=parts.vectors[:, count:], mask=parts.mask[:, count:])


def joined(several: Sequence[Parts]) -> Parts:
    """Return all sequences, one after the other, as long as the longest."""
    length = max(parts.mask.shape[1] for parts in several)
    padded = [_padded(parts, length) for parts in several]
    return Parts(
        vectors=torch.cat([parts.vectors for parts in padded]),
        mask=torch.cat([parts.mask for parts in padded]),
    )


def every_pair(queries: Parts, documents: Parts) -> tuple[Parts, Parts]:
    """Return queries and documents repeated such that row i * len(documents) + j holds query i and document j."""
    rows = torch.arange(len(queries) * len(documents), device=queries.mask.device)
    return queries.take(rows // max(len(documents), 1)), documents.take(rows % max(len(documents), 1))


def _padded(parts: Parts, length: int) -> Parts:
    missing = length - parts.mask.shape[1]
    return Parts(
        vectors=functional.pad(parts.vectors, (0, 0, 0, missing)), mask=functional.pad(parts.mask, (0, missing))
    )
