"""InfoNCE over batches so large that the matrix of their scores does not fit into memory.

Scores are made a few rows at a time, and made again for the gradient, which is that of `contrastive.info_nce`. Memory
grows with the number of rows, not with its square.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from limner.types import Scalar

__all__ = ["chunked_info_nce", "chunked_symmetric_info_nce"]

Queries = Float[Tensor, "queries embed_dim"]
Items = Float[Tensor, "items embed_dim"]
QueryKeys = Int[Tensor, "queries keys"]
ItemKeys = Int[Tensor, "items keys"]


def chunked_info_nce(
    queries: Queries,
    items: Items,
    query_keys: QueryKeys,
    item_keys: ItemKeys,
    *,
    scale: Scalar,
    chunk_size: int = 512,
) -> Scalar:
    r"""`contrastive.info_nce` of the scores s_ij = scale <q_i, x_j>.

    Query and item are a positive pair where any of their keys agree: of one key, labels; of two, concept and text as in
    `selection.same_concept_or_text`. `chunk_size` rows of scores are held at a time.
    """
    return _ChunkedInfoNCE.apply(queries, items, scale, query_keys, item_keys, chunk_size, False)


def chunked_symmetric_info_nce(
    queries: Queries,
    items: Items,
    query_keys: QueryKeys,
    item_keys: ItemKeys,
    *,
    scale: Scalar,
    chunk_size: int = 512,
) -> Scalar:
    """`contrastive.symmetric_info_nce` of the same scores (see `chunked_info_nce`)."""
    return _ChunkedInfoNCE.apply(queries, items, scale, query_keys, item_keys, chunk_size, True)


class _Side:
    r"""The rows of the matrix, or its columns: what the loss has to know of each.

    With n_i = log sum_{j not in P_i} e^(s_ij), the loss is 1/R sum_i 1/|P_i| sum_p softplus(n_i - s_ip), where R counts
    the rows with a positive. Its gradient by a positive is -share_i sigma(n_i - s_ip) with share_i = 1 / (R |P_i|), and
    by a negative pull_i share_i e^(s_ij - n_i) with pull_i = sum_p sigma(n_i - s_ip).
    """

    def __init__(self, size: int, like: Tensor) -> None:
        dtype = torch.promote_types(like.dtype, torch.float32)
        self.negatives = torch.full((size,), float("-inf"), dtype=dtype, device=like.device)
        self.losses, self.pulls, self.counts = (torch.zeros_like(self.negatives) for _ in range(3))

    def add_positives(self, rows: Tensor, scores: Tensor) -> None:
        gaps = self.negatives[rows] - scores
        self.losses.index_add_(0, rows, functional.softplus(gaps))
        self.pulls.index_add_(0, rows, gaps.sigmoid())
        self.counts.index_add_(0, rows, torch.ones_like(gaps))

    def shares(self) -> Tensor:
        return (self.counts > 0) / (self.counts.clamp(min=1) * (self.counts > 0).sum().clamp(min=1))

    def loss(self) -> Tensor:
        return (self.losses * self.shares()).sum()

    def saved(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return n_i, share_i and log(pull_i share_i)."""
        shares = self.shares()
        return self.negatives, shares, (self.pulls * shares).log()


class _ChunkedInfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        items: Tensor,
        scale: Tensor,
        query_keys: Tensor,
        item_keys: Tensor,
        chunk_size: int,
        is_symmetric: bool,
    ) -> Tensor:
        inputs = (queries, items, scale, query_keys, item_keys)
        rows, columns = _Side(len(queries), queries), _Side(len(items), queries)
        # Columns know their negatives only after the last chunk. Until then their positives are kept, if they take no
        # more room than a chunk of scores, and else made again.
        room = chunk_size * len(items)
        kept: list[tuple[Tensor, Tensor]] = []
        for start, scores, relevance in _chunks(inputs, chunk_size):
            row, column = relevance.nonzero(as_tuple=True)
            positives = scores[row, column]
            scores.masked_fill_(relevance, float("-inf"))
            rows.negatives[start : start + len(scores)] = scores.logsumexp(dim=1)
            rows.add_positives(row + start, positives)
            if is_symmetric:
                columns.negatives = torch.logaddexp(columns.negatives, scores.logsumexp(dim=0))
                room -= len(positives)
                kept = [*kept, (column, positives)] if room >= 0 else []
        if is_symmetric:
            for column, positives in kept if room >= 0 else _column_positives(inputs, chunk_size):
                columns.add_positives(column, positives)
        ctx.chunk_size, ctx.is_symmetric = chunk_size, is_symmetric
        ctx.save_for_backward(*inputs, *rows.saved(), *columns.saved())
        return ((rows.loss() + columns.loss()) / (1 + is_symmetric)).to(queries.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        queries, items, scale, *_ = inputs = ctx.saved_tensors[:5]
        row_negatives, row_shares, row_pulls, column_negatives, column_shares, column_pulls = ctx.saved_tensors[5:]
        by_queries, by_items = torch.zeros_like(queries), torch.zeros_like(items)
        for start, scores, relevance in _chunks(inputs, ctx.chunk_size):
            here = slice(start, start + len(scores))
            row, column = relevance.nonzero(as_tuple=True)
            positives = scores[row, column]
            pushes = (scores + (row_pulls - row_negatives)[here, None]).exp_()
            pulls = row_shares[here][row] * (row_negatives[here][row] - positives).sigmoid()
            if ctx.is_symmetric:
                pushes += scores.add_(column_pulls - column_negatives).exp_()
                pulls += column_shares[column] * (column_negatives[column] - positives).sigmoid()
            pushes[row, column] = -pulls
            pushes = pushes.to(queries.dtype)
            by_queries[here] = pushes @ items
            by_items += pushes.T @ queries[here]
        grad = grad / (1 + ctx.is_symmetric)
        by_scale = (queries * by_queries).sum().to(scale.dtype) * grad
        return by_queries * (grad * scale), by_items * (grad * scale), by_scale, None, None, None, None


def _chunks(inputs: Sequence[Tensor], chunk_size: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield the first row, the scores and the relevance of every `chunk_size` rows."""
    queries, items, scale, query_keys, item_keys = inputs
    for start in range(0, len(queries), chunk_size):
        here = slice(start, start + chunk_size)
        with torch.autocast(queries.device.type, enabled=False):
            scores = (queries[here] * scale).to(queries.dtype) @ items.T
        relevance = query_keys[here, :1] == item_keys[:, 0]
        for key in range(1, query_keys.shape[1]):
            relevance |= query_keys[here, key, None] == item_keys[:, key]
        yield start, scores.to(torch.promote_types(scores.dtype, torch.float32)), relevance


def _column_positives(inputs: Sequence[Tensor], chunk_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _, scores, relevance in _chunks(inputs, chunk_size):
        yield relevance.nonzero(as_tuple=True)[1], scores[relevance]
