"""Each item judged alone: relevant or not, or how relevant."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from limner.losses.reduction import mean_where
from limner.types import ItemMask, Relevance, Scalar, Scores

__all__ = ["graded_cross_entropy", "relevance_cross_entropy"]


def relevance_cross_entropy(
    scores: Scores, relevance: Relevance, mask: ItemMask | None = None, *, positive_weight: float = 1.0
) -> Scalar:
    r"""Cross-entropy of relevant or not, the mean over pairs (BLIP's ITM, https://arxiv.org/abs/2201.12086).

    .. math:: L = -\frac{1}{n} \sum_{ij} w y_{ij} \log \sigma(s_{ij}) + (1 - y_{ij}) \log(1 - \sigma(s_{ij}))

    A score is then the log-odds of relevance. `positive_weight` is w; other than 1 it shifts the odds by w.
    """
    counted = torch.ones_like(relevance) if mask is None else mask
    signs = relevance.to(scores.dtype) * 2 - 1
    scores = scores.masked_fill(~counted, 0)
    terms = -functional.logsigmoid(signs * scores)
    weighted = torch.where(relevance, positive_weight * terms, terms)
    return mean_where(weighted, counted)


def graded_cross_entropy(
    logits: Float[Tensor, "queries items num_grades"],
    grades: Int[Tensor, "queries items"],
    mask: ItemMask | None = None,
) -> Scalar:
    r"""Softmax cross-entropy over grades, the mean over pairs (McRank, Li et al. 2007).

    .. math:: L = -\frac{1}{n} \sum_{ij} \log \frac{e^{z_{ij y_{ij}}}}{\sum_g e^{z_{ijg}}}

    The score of an item is its expected grade, sum_g g P(g).
    """
    counted = torch.ones_like(grades, dtype=torch.bool) if mask is None else mask
    logits = logits.masked_fill(~counted[:, :, None], 0)
    chosen = grades.long().masked_fill(~counted, 0)
    return mean_where(-logits.log_softmax(dim=-1).gather(-1, chosen[:, :, None])[:, :, 0], counted)
