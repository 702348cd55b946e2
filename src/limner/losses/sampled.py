"""The softmax over a whole collection, without its partition function: a few items are drawn from noise (`noise`).

Every loss takes s+ of each query's positive, s_d of k items drawn from q(d), and the logarithm of q. `hits` marks drawn
items that are the positive by accident.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from limner.losses.contrastive import info_nce
from limner.types import ItemMask, Relevance, Scalar, Scores

__all__ = [
    "accidental_hits",
    "in_batch_softmax",
    "log_q_softmax",
    "negative_sampling",
    "noise_contrastive",
    "sampled_softmax",
]

Positives = Float[Tensor, " queries"]
Drawn = Float[Tensor, "queries samples"]
LogQ = Float[Tensor, "#queries samples"]
Hits = Bool[Tensor, "queries samples"]


def accidental_hits(positives: Int[Tensor, "queries slots"], drawn: Int[Tensor, "#queries samples"]) -> Hits:
    """Return where a drawn item is one of the query's positives, by their ids."""
    return (positives[:, :, None] == drawn[:, None, :]).any(dim=1)


def sampled_softmax(
    positives: Positives,
    negatives: Drawn,
    log_q: LogQ,
    hits: Hits | None = None,
    *,
    positive_probability: Positives | None = None,
) -> Scalar:
    r"""Softmax cross-entropy whose partition function is estimated by importance sampling; the positive is exact.

    .. math:: L = \frac{1}{Q} \sum_q -s_+ + \log \left( e^{s_+} + \sum_{d \sim q}^k e^{s_d - \log k q(d)} \right)

    The positive was not drawn, so it is not corrected (https://arxiv.org/abs/2507.09331); the sum, without accidental
    hits, is an unbiased estimate of the partition function without it (Bengio and Senecal 2003). The gradient is

    .. math:: -(1 - P(d_+)) \nabla \left[ s_+ - \log \sum_{d \sim q}^k e^{s_d - \log k q(d)} \right]

    with P(d+) from the same sample; with a better estimate, `positive_probability`, the loss is that expression with
    the weight held constant. It is the gradient that means something then, not the value.
    """
    others = _log_partition(negatives, log_q, hits)
    if positive_probability is None:
        return functional.softplus(others - positives).mean() if len(positives) else positives.sum()
    some = others.isfinite()
    gaps = others.where(some, positives.detach()) - positives
    weights = (1 - positive_probability.detach()).where(some, 0.0)
    return (weights * gaps).sum() / max(len(positives), 1)


def log_q_softmax(
    positives: Positives, negatives: Drawn, positive_log_q: Positives, negative_log_q: LogQ, hits: Hits | None = None
) -> Scalar:
    r"""Sampled softmax with every logit corrected, the positive's too (logQ; Jean et al. 2015, Yi et al. 2019).

    .. math:: L = \frac{1}{Q} \sum_q -\hat s_+ + \log \left( e^{\hat s_+} + \sum_{d \sim q}^k e^{\hat s_d} \right),
        \qquad \hat s_d = s_d - \log k q(d)

    What most libraries call sampled softmax. A rare positive is lifted by its own -log k q(d+) and learns the less;
    `sampled_softmax` is free of that. https://arxiv.org/abs/1412.2007, https://doi.org/10.1145/3298689.3346996
    """
    num_samples = max(negatives.shape[1], 1)
    corrected = positives - positive_log_q.to(positives.dtype) - math.log(num_samples)
    return sampled_softmax(corrected, negatives, negative_log_q, hits)


def in_batch_softmax(scores: Scores, relevance: Relevance, log_q: Float[Tensor, " items"]) -> Scalar:
    r"""`sampled_softmax` whose sample is the batch: item j is drawn from q, and is a negative where it is not relevant.

    .. math:: L = \frac{1}{Q} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i} -s_{ip} + \log \left( e^{s_{ip}} +
        \sum_{j \notin P_i} e^{s_{ij} - \log B q(j)} \right)

    B is the number of items, for relevant ones are draws too, if accidental ones. `noise.in_batch` gives log q of a
    batch, `noise.unigram` that of a whole collection.
    """
    corrected = scores - log_q.to(scores.dtype) - math.log(max(scores.shape[1], 1))
    return info_nce(torch.where(relevance, scores, corrected), relevance)


def noise_contrastive(
    positives: Positives,
    negatives: Drawn,
    positive_log_q: Positives,
    negative_log_q: LogQ,
    hits: Hits | None = None,
    *,
    share: Positives | None = None,
) -> Scalar:
    r"""Tell the positive from k items of noise, by the odds that a score which is a log-probability would give (NCE).

    .. math:: L = \frac{1}{Q} \sum_q -\log \sigma(s_+ - \log k q(d_+))
        - \sum_{d \sim q}^k \log \sigma(-(s_d - \log k q(d)))

    The partition function is held at z(q) = 1: at the optimum s_d = log p(d|q), and the scores of a query are
    normalised by themselves (Gutmann and Hyvarinen 2010; Mnih and Teh 2012, https://arxiv.org/abs/1206.6426). That
    holds for noise that may draw the positive: with `hits` masked, the score of a likely item comes out too high, and
    that of a query's only answer has no bound. Where the noise cannot draw the positive, as from the others of a batch,
    `share` = k q(d+) is how often it should have: so many times it counts as noise too.
    """
    log_k = math.log(max(negatives.shape[1], 1))
    odds = positives - positive_log_q.to(positives.dtype) - log_k
    return _told_apart(odds, negatives - negative_log_q.to(negatives.dtype) - log_k, hits, share)


def negative_sampling(
    positives: Positives, negatives: Drawn, hits: Hits | None = None, *, share: Positives | None = None
) -> Scalar:
    r"""Tell the positive from k items of noise by the scores alone (NEG, https://arxiv.org/abs/1310.4546, equation 4).

    .. math:: L = \frac{1}{Q} \sum_q -\log \sigma(s_+) - \sum_{d \sim q}^k \log \sigma(-s_d)

    At the optimum s_d = log p(d|q) - log k q(d): an order, not a probability. `share` as for `noise_contrastive`.
    """
    return _told_apart(positives, negatives, hits, share)


def _log_partition(negatives: Drawn, log_q: LogQ, hits: ItemMask | None) -> Positives:
    """Return log sum_d e^(s_d) / (k q(d)); -inf where every item drawn is a hit."""
    corrected = negatives - log_q.to(negatives.dtype) - math.log(max(negatives.shape[1], 1))
    if hits is not None:
        corrected = corrected.masked_fill(hits, float("-inf"))
    return corrected.logsumexp(dim=1)


def _told_apart(positives: Positives, negatives: Drawn, hits: ItemMask | None, share: Positives | None) -> Scalar:
    refused = functional.softplus(negatives)
    if hits is not None:
        refused = refused.masked_fill(hits, 0)
    terms = functional.softplus(-positives) + refused.sum(dim=1)
    if share is not None:
        terms = terms + share * functional.softplus(positives)
    return terms.sum() / max(len(positives), 1)
