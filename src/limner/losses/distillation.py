"""What a teacher says becomes a target. No gradient reaches the teacher's side."""

import torch
from torch.nn import functional

from limner.losses.reduction import mean_where
from limner.types import Embeddings, ItemMask, Relevance, Scalar, Scores

__all__ = ["cosine_distance", "kl_from_teacher", "margin_mse"]


def cosine_distance(embeddings: Embeddings, targets: Embeddings) -> Scalar:
    r"""Mean of 1 - cos(e_i, t_i), which for unit vectors is half of |e_i - t_i|^2."""
    return (1 - functional.cosine_similarity(embeddings, targets, dim=-1)).mean()


def margin_mse(scores: Scores, teacher: Scores, relevance: Relevance, mask: ItemMask | None = None) -> Scalar:
    r"""Squared error of the lead of a relevant item over another, the mean over such pairs (Margin-MSE).

    .. math:: L = \frac{1}{n} \sum_q \sum_{i \in P, j \notin P} \left( (s_i - s_j) - (t_i - t_j) \right)^2

    A student of another scale than its teacher's learns the order and the leads, not the level
    (https://arxiv.org/abs/2010.02666, equation 6). With d = (s - t) - mean_P (s - t), what a list's pairs sum to is
    |N| sum_P d_i^2 + |P| sum_N d_j^2, at the cost of its items.
    """
    positive = relevance if mask is None else relevance & mask
    negative = ~relevance if mask is None else ~relevance & mask
    errors = scores - teacher.detach()
    if mask is not None:
        errors = errors.masked_fill(~mask, 0)
    leads, others = positive.to(scores.dtype), negative.to(scores.dtype)
    num_leads, num_others = leads.sum(dim=1, keepdim=True), others.sum(dim=1, keepdim=True)
    means = (errors * leads).sum(dim=1, keepdim=True) / num_leads.clamp(min=1)
    weights = leads * num_others + others * num_leads
    return (weights * (errors - means).square()).sum() / (num_leads * num_others).sum().clamp(min=1)


def kl_from_teacher(
    scores: Scores, teacher: Scores, mask: ItemMask | None = None, *, temperature: float = 1.0
) -> Scalar:
    r"""Divergence of the student's softmax over a list from the teacher's, the mean over lists.

    .. math:: L = \frac{\tau^2}{Q} \sum_q \sum_i p_i \log \frac{p_i}{\hat p_i}, \qquad
        p = \text{softmax}(t / \tau), \quad \hat p = \text{softmax}(s / \tau)

    The factor keeps the size of the gradient as the temperature changes (https://arxiv.org/abs/1503.02531, section 2).
    """
    real = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    lowest = torch.finfo(scores.dtype).min
    targets = (teacher.detach() / temperature).masked_fill(~real, lowest).log_softmax(dim=1)
    logs = (scores / temperature).masked_fill(~real, lowest).log_softmax(dim=1)
    terms = (targets.exp() * (targets - logs)).where(real, logs.new_zeros(()))
    return temperature**2 * mean_where(terms.sum(dim=1), real.any(dim=1))
