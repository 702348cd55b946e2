"""Many terms become one number."""

from jaxtyping import Bool, Float
from torch import Tensor

from limner.types import Scalar

__all__ = ["mean_where"]


def mean_where(terms: Float[Tensor, "*shape"], counted: Bool[Tensor, "*shape"]) -> Scalar:
    """Return the mean of the counted terms; of none it is 0, still joined to the graph, with a gradient of 0."""
    return terms.where(counted, terms.new_zeros(())).sum() / counted.sum().clamp(min=1)
