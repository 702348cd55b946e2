"""Contrastive losses over a matrix of scores with several positives in each row."""

from torch.nn import functional

from limner.types import ItemMask, Relevance, Scalar, Scores

__all__ = ["info_nce", "sigmoid_pairs", "symmetric_info_nce"]


def info_nce(scores: Scores, relevance: Relevance, mask: ItemMask | None = None) -> Scalar:
    r"""InfoNCE with several positives a query, none of which is a negative of another.

    .. math:: L = \frac{1}{Q} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i}
                  -\log \frac{e^{s_{ip}}}{e^{s_{ip}} + \sum_{j \notin P_i} e^{s_{ij}}}

    With one positive a row this is the softmax cross-entropy of https://arxiv.org/abs/1807.03748, equation 4. Rows
    without a positive do not count. `mask` leaves items out: a negative that may be a false one, an item's own copy.
    """
    others = ~relevance
    if mask is not None:
        scores, relevance, others = scores.masked_fill(~mask, 0), relevance & mask, others & mask
    negatives = scores.masked_fill(~others, float("-inf")).logsumexp(dim=1)
    # Terms are made for the positives alone, which are few.
    rows, columns = relevance.nonzero(as_tuple=True)
    num_positives = relevance.sum(dim=1)
    terms = functional.softplus(negatives[rows] - scores[rows, columns]) / num_positives[rows]
    return terms.sum() / (num_positives > 0).sum().clamp(min=1)


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
