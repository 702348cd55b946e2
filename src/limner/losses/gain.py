r"""What a grade is worth, and at which rank: the parts of nDCG that ranking losses share.

.. math:: G_i = 2^{y_i} - 1, \qquad D(r) = \frac{1}{\log_2(1 + r)}, \qquad \text{DCG} = \sum_i G_i D(r_i)

(Burges et al. 2005, https://doi.org/10.1145/1102351.1102363.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from limner.types import Grades, ItemMask

__all__ = ["discount", "gain", "ideal_dcg"]


def gain(grades: Grades, mask: ItemMask | None = None) -> Float[Tensor, "queries items"]:
    """Return G_i, which is 0 where an item does not count."""
    gains = torch.exp2(grades.to(torch.promote_types(grades.dtype, torch.get_default_dtype()))) - 1
    return gains if mask is None else gains.masked_fill(~mask, 0)


def discount(ranks: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return D(r) of ranks that start at 1."""
    return torch.log2(1 + ranks).reciprocal()


def ideal_dcg(gains: Float[Tensor, "queries items"], truncation: int | None = None) -> Float[Tensor, " queries"]:
    """Return the DCG of the best order, down to rank `truncation`; 0 where nothing is worth anything."""
    best = gains.sort(dim=1, descending=True).values[:, :truncation]
    ranks = torch.arange(1, best.shape[1] + 1, device=gains.device, dtype=gains.dtype)
    return (best * discount(ranks)).sum(dim=1)
