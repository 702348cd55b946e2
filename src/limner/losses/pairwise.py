"""Two at a time: a query with an item, or an item above another."""

import torch
from torch.nn import functional

from limner.losses.reduction import mean_where
from limner.types import Distances, Grades, ItemMask, Relevance, Scalar, Scores

__all__ = ["margin_contrastive", "ranknet"]


def margin_contrastive(
    distances: Distances, relevance: Relevance, mask: ItemMask | None = None, *, margin: float = 0.5
) -> Scalar:
    r"""Pull relevant pairs together, push the others out to a margin, the mean over pairs (Hadsell et al. 2006, eq. 4).

    .. math:: L = \frac{1}{n} \sum_{ij} \frac12 \left[ y_{ij} D_{ij}^2 + (1 - y_{ij}) \max(0, m - D_{ij})^2 \right]

    `mask` says which pairs count; leave a picture's distance to itself out. https://doi.org/10.1109/CVPR.2006.100
    """
    counted = torch.ones_like(relevance) if mask is None else mask
    # A dot product of gaps passes over all pairs fewer times than a mean of their squares does.
    gaps = torch.where(relevance, distances, functional.relu(margin - distances)).masked_fill(~counted, 0).flatten()
    return gaps @ gaps / (2 * counted.sum().clamp(min=1))


def ranknet(scores: Scores, grades: Grades, mask: ItemMask | None = None, *, sigma: float = 1.0) -> Scalar:
    r"""Every better item above every worse one, the mean over ordered pairs (Burges et al. 2005).

    .. math:: L = \frac{1}{n} \sum_{i: y_i > y_j} \log(1 + e^{-\sigma (s_i - s_j)})

    Items of one grade make no pair. https://doi.org/10.1145/1102351.1102363
    """
    ordered = grades[:, :, None] > grades[:, None, :]
    if mask is not None:
        ordered = ordered & mask[:, :, None] & mask[:, None, :]
        scores = scores.masked_fill(~mask, 0)
    return mean_where(functional.softplus(-sigma * (scores[:, :, None] - scores[:, None, :])), ordered)
