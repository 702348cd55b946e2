"""Contrastive losses over a matrix of scores with several positives in each row."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from limner.types import ItemMask, Relevance, Scalar, Scores

__all__ = ["info_nce", "sigmoid_pairs", "symmetric_info_nce"]


def info_nce(scores: Scores, relevance: Relevance, mask: ItemMask | None = None) -> Scalar:
    r"""InfoNCE with several positives a query, none of which is a negative of another.

    .. math:: L = \frac{1}{Q} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i}
                  -\log \frac{e^{s_{ip}}}{e^{s_{ip}} + \sum_{j \notin P_i} e^{s_{ij}}}

    With one positive a row this is the softmax cross-entropy of https://arxiv.org/abs/1807.03748, equation 4. Rows
    without a positive do not count. `mask` leaves items out: a negative that may be a false one, an item's own copy.
    Scores in half precision are summed in float32.
    """
    if not scores.numel():
        return scores.sum()
    others = ~relevance
    if mask is not None:
        scores, relevance, others = scores.masked_fill(~mask, 0), relevance & mask, others & mask
    return _InfoNCE.apply(scores.to(torch.promote_types(scores.dtype, torch.float32)), relevance, others)


def symmetric_info_nce(scores: Scores, relevance: Relevance, mask: ItemMask | None = None) -> Scalar:
    """Mean of InfoNCE over rows and over columns (CLIP, https://arxiv.org/abs/2103.00020, figure 3)."""
    columns = info_nce(scores.T, relevance.T, None if mask is None else mask.T)
    return (info_nce(scores, relevance, mask) + columns) / 2


def sigmoid_pairs(scores: Scores, relevance: Relevance) -> Scalar:
    r"""Every pair judged alone (SigLIP, https://arxiv.org/abs/2303.15343, equation 1).

    .. math:: L = -\frac{1}{Q} \sum_i \sum_j \log \sigma(z_{ij} s_{ij}), \qquad z_{ij} = \pm 1

    Scores carry their learned scale and bias.
    """
    signs = relevance.to(scores.dtype) * 2 - 1
    return -functional.logsigmoid(signs * scores).sum() / len(scores)


class _InfoNCE(torch.autograd.Function):
    r"""The loss and its gradient, in few passes over the scores.

    With n_i = log sum_{j not in P_i} e^(s_ij), the loss is sum_ip w_i softplus(n_i - s_ip), where w_i is 1 / |P_i| over
    the number of rows that have a positive. Its gradient by a positive is -w_i sigma(n_i - s_ip), and by a negative
    softmax_j(s_i) sum_p w_i sigma(n_i - s_ip).
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, relevance: Tensor, others: Tensor) -> Tensor:
        rivals = scores.masked_fill(~others, torch.finfo(scores.dtype).min)
        highest, place = rivals.max(dim=1, keepdim=True)
        chances = rivals.softmax(dim=1)
        negatives = (highest - chances.gather(1, place).log()).squeeze(1)
        rows, columns = relevance.nonzero(as_tuple=True)
        counts = rows.bincount(minlength=len(scores))
        weights = chances.new_ones(()) / (counts * (counts > 0).sum())[rows]
        gaps = negatives[rows] - scores[rows, columns]
        ctx.save_for_backward(chances, rows, columns, weights, gaps)
        return (weights * functional.softplus(gaps)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        chances, rows, columns, weights, gaps = ctx.saved_tensors
        pulls = gradient * weights * gaps.sigmoid()
        by_score = chances * chances.new_zeros(len(chances)).index_add_(0, rows, pulls)[:, None]
        by_score[rows, columns] = -pulls
        return by_score, None, None
