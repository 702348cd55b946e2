"""A query, a positive that should be near and a negative that should be farther. Which: `triplet_selection`."""

from torch.nn import functional

from limner.losses.reduction import mean_where
from limner.losses.triplet_selection import Triplets
from limner.types import Distances, Scalar

__all__ = ["soft_triplet", "triplet_margin"]


def triplet_margin(distances: Distances, triplets: Triplets, *, margin: float, only_violated: bool = False) -> Scalar:
    r"""Every negative farther than the positive by a margin, the mean over triplets (FaceNet, eq. 3; Hermans 2017).

    .. math:: L = \frac{1}{n} \sum_{(a, p, n)} \max(0, m + D(a, p) - D(a, n))

    With `only_violated` the mean is over the triplets whose term is above 0, so that the many that are already right do
    not thin out the gradient. https://arxiv.org/abs/1503.03832, https://arxiv.org/abs/1703.07737
    """
    positive, negative = triplets.distances(distances)
    terms = functional.relu(margin + positive - negative)
    counted = triplets.chosen & (terms > 0) if only_violated else triplets.chosen
    return mean_where(terms, counted)


def soft_triplet(distances: Distances, triplets: Triplets) -> Scalar:
    r"""The triplet loss with a margin that never ends, the mean over triplets (https://arxiv.org/abs/1703.07737).

    .. math:: L = \frac{1}{n} \sum_{(a, p, n)} \log(1 + e^{D(a, p) - D(a, n)})
    """
    positive, negative = triplets.distances(distances)
    return mean_where(functional.softplus(positive - negative), triplets.chosen)
