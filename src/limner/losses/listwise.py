"""A whole list at a time. Each loss is the mean over the lists that say something of order."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from limner.losses.gain import discount, gain, ideal_dcg
from limner.losses.reduction import mean_where
from limner.losses.selection import positive_slots
from limner.types import Grades, ItemMask, Relevance, Scalar, Scores

__all__ = ["approx_ndcg", "list_mle", "list_net", "smooth_ap", "softmax_cross_entropy"]


def softmax_cross_entropy(scores: Scores, grades: Grades, mask: ItemMask | None = None) -> Scalar:
    r"""Softmax cross-entropy over the items of each list, weighted by their grades.

    .. math:: L = \frac{1}{Q} \sum_q \sum_i \frac{y_i}{\sum_j y_j} \left( \log \sum_j e^{s_j} - s_i \right)

    With one relevant item a list this is the log loss of the softmax; with several, SupCon's L_out
    (https://arxiv.org/abs/2004.11362, equation 2), in which the relevant items compete with each other;
    `contrastive.info_nce` leaves them out. Grades are at least 0; lists without a relevant item do not count.
    """
    scores, real = _padded_with_zeros(scores, mask)
    weights = grades.to(scores.dtype).masked_fill(~real, 0)
    total = weights.sum(dim=1, keepdim=True)
    return _cross_entropy(scores, weights / total.clamp(min=torch.finfo(scores.dtype).tiny), real, total[:, 0] > 0)


def list_net(scores: Scores, grades: Grades, mask: ItemMask | None = None) -> Scalar:
    r"""Cross-entropy of the chances to be the top one, by grades and by scores (ListNet, Cao et al. 2007).

    .. math:: L = -\frac{1}{Q} \sum_q \sum_i \frac{e^{y_i}}{\sum_j e^{y_j}} \log \frac{e^{s_i}}{\sum_j e^{s_j}}

    https://doi.org/10.1145/1273496.1273513
    """
    scores, real = _padded_with_zeros(scores, mask)
    lowest = torch.finfo(scores.dtype).min
    weights = grades.to(scores.dtype).masked_fill(~real, lowest).softmax(dim=1)
    return _cross_entropy(scores, weights, real, real.any(dim=1))


def list_mle(scores: Scores, grades: Grades, mask: ItemMask | None = None) -> Scalar:
    r"""Negative log-likelihood of the order by grades, drawn item by item from the top (ListMLE, Xia et al. 2008).

    .. math:: L = \frac{1}{Q} \sum_q \sum_{i: y_i > \min y} \left( \log \sum_{j: y_j \le y_i} e^{s_j} - s_i \right)

    With all grades different this is equation 8 of the paper (https://doi.org/10.1145/1390156.1390306). Items of one
    grade stand in no order: each is drawn from all that are no better (Breslow's rule for ties), and the order within
    the lowest grade, where nothing is left to be told apart, is not asked for.
    """
    if not scores.numel():
        return scores.sum()
    scores, real = _padded_with_zeros(scores, mask)
    keys = grades.to(scores.dtype).masked_fill(~real, float("-inf"))
    sorted_keys, order = keys.sort(dim=1, descending=True, stable=True)
    ranked = scores.masked_fill(~real, torch.finfo(scores.dtype).min).gather(1, order)
    partitions = ranked.flip(1).logcumsumexp(dim=1).flip(1)
    starts = torch.ones_like(real)
    starts[:, 1:] = sorted_keys[:, 1:] != sorted_keys[:, :-1]
    places = torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    first = places.where(starts, 0).cummax(dim=1).values
    lowest = keys.masked_fill(~real, float("inf")).amin(dim=1, keepdim=True)
    told = (sorted_keys > lowest) & sorted_keys.isfinite()
    terms = partitions.gather(1, first) - ranked
    return mean_where(terms.where(told, terms.new_zeros(())).sum(dim=1), told.any(dim=1))


def approx_ndcg(scores: Scores, grades: Grades, mask: ItemMask | None = None, *, temperature: float = 0.1) -> Scalar:
    r"""1 - nDCG with a smooth rank (Qin et al. 2010, https://doi.org/10.1007/s10791-009-9124-x).

    .. math:: L = 1 - \frac{1}{Q} \sum_q \frac{1}{\text{IDCG}} \sum_i \frac{2^{y_i} - 1}{\log_2(1 + r_i)},
        \qquad r_i = 1 + \sum_{j \ne i} \sigma((s_j - s_i) / \tau)

    Lists in which nothing is worth anything do not count.
    """
    scores, real = _padded_with_zeros(scores, mask)
    gains = gain(grades, real).to(scores.dtype)
    best = ideal_dcg(gains)
    items, filled = positive_slots(gains > 0)
    ranks = 1 + _num_above(scores, items, real, temperature)
    worth = gains.gather(1, items) * discount(ranks)
    quality = worth.where(filled, worth.new_zeros(())).sum(dim=1)
    return mean_where(1 - quality / best.clamp(min=torch.finfo(best.dtype).tiny), best > 0)


def smooth_ap(
    scores: Scores, relevance: Relevance, mask: ItemMask | None = None, *, temperature: float = 0.01
) -> Scalar:
    r"""1 - average precision with smooth ranks (Smooth-AP, https://arxiv.org/abs/2007.12163, equation 5).

    .. math:: L = 1 - \frac{1}{Q} \sum_q \frac{1}{|P|} \sum_{i \in P}
        \frac{1 + \sum_{j \in P, j \ne i} \sigma((s_j - s_i) / \tau)}{1 + \sum_{j \ne i} \sigma((s_j - s_i) / \tau)}

    P holds the relevant items of a list; lists without one do not count. Only relevant items need a rank, so that
    memory grows with their number times the length of the list.
    """
    scores, real = _padded_with_zeros(scores, mask)
    relevant = relevance & real
    items, filled = positive_slots(relevant)
    ranks = 1 + _num_above(scores, items, real, temperature)
    ranks_among_relevant = 1 + _num_above(scores, items, relevant, temperature)
    precision = ranks_among_relevant / ranks
    count = relevant.sum(dim=1)
    average = precision.where(filled, precision.new_zeros(())).sum(dim=1) / count.clamp(min=1)
    return mean_where(1 - average, count > 0)


def _padded_with_zeros(scores: Scores, mask: ItemMask | None) -> tuple[Scores, ItemMask]:
    """Return the scores, whatever padding held replaced by 0, and which items are real."""
    if mask is None:
        return scores, torch.ones_like(scores, dtype=torch.bool)
    return scores.masked_fill(~mask, 0), mask


def _cross_entropy(
    scores: Scores, weights: Float[Tensor, "queries items"], real: ItemMask, counted: Bool[Tensor, " queries"]
) -> Scalar:
    """Return the mean over lists of -sum_i w_i log softmax(s)_i; items that are not real have no share in it."""
    logs = scores.masked_fill(~real, torch.finfo(scores.dtype).min).log_softmax(dim=1)
    return mean_where(-(weights * logs.where(real, logs.new_zeros(()))).sum(dim=1), counted)


def _num_above(scores: Scores, items: Tensor, others: ItemMask, temperature: float) -> Float[Tensor, "queries slots"]:
    """Return the smooth number of `others` that score above each of the `items`, itself left out."""
    above = ((scores[:, None, :] - scores.gather(1, items)[:, :, None]) / temperature).sigmoid()
    itself = items[:, :, None] == torch.arange(scores.shape[1], device=scores.device)
    return above.masked_fill(itself | ~others[:, None, :], 0).sum(dim=2)
