"""LambdaRank: pairs weighted by what their exchange would change in nDCG."""

import torch
from torch.nn import functional

from limner.losses.gain import discount, gain, ideal_dcg
from limner.losses.reduction import mean_where
from limner.types import Grades, ItemMask, Scalar, Scores

__all__ = ["lambda_rank"]


def lambda_rank(
    scores: Scores,
    grades: Grades,
    mask: ItemMask | None = None,
    *,
    sigma: float = 1.0,
    truncation: int | None = None,
) -> Scalar:
    r"""A loss whose gradient is LambdaRank's: the sum over the pairs of a list, the mean over lists (Burges 2010).

    .. math:: L = \frac{1}{Q} \sum_q \sum_{i: y_i > y_j} |\Delta_{ij}| \log(1 + e^{-\sigma (s_i - s_j)}), \qquad
        |\Delta_{ij}| = \frac{|2^{y_i} - 2^{y_j}|}{\text{IDCG}} \left| D(r_i) - D(r_j) \right|

    with D(r) = 1 / log2(1 + r), so that the gradient by s_i is the sum of
    -sigma |Delta_ij| / (1 + e^(sigma (s_i - s_j))). Ranks are those of the scores, equal scores in the order of the
    list, and no gradient flows through them. `truncation` t keeps the pairs of which one stands within the first t
    ranks, and IDCG@t (LightGBM's rule); memory then grows with t, not with the length of the list.
    """
    real = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    scores = scores.masked_fill(~real, 0)
    with torch.no_grad():
        order = scores.masked_fill(~real, float("-inf")).argsort(dim=1, descending=True, stable=True)
        # Padding sorts last; where a real score is -inf as well, gains of 0 keep it out of every pair.
        real = real.gather(1, order)
        gains = gain(grades.gather(1, order), real).to(scores.dtype)
        best = ideal_dcg(gains, truncation)
        worth = discount(torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype))
        places = torch.arange(scores.shape[1], device=scores.device)
        below = (places[:truncation, None] < places)[None] & real[:, :truncation, None] & real[:, None, :]
        differences = gains[:, :truncation, None] - gains[:, None, :]
        changes = (differences * (worth[:truncation, None] - worth)).abs().masked_fill(~below, 0)
        changes = changes / best.clamp(min=torch.finfo(best.dtype).tiny)[:, None, None]
    ranked = scores.gather(1, order)
    gaps = (ranked[:, :truncation, None] - ranked[:, None, :]) * differences.sign()
    terms = changes * functional.softplus(-sigma * gaps)
    return mean_where(terms.sum(dim=(1, 2)), best > 0)
