"""Which triplets count: a query, one of its positives, one of its negatives.

Each function takes the pairs that may be positives and negatives as masks (`selection`), chooses without a gradient,
and returns a `Triplets`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from limner.losses.selection import positive_slots
from limner.types import Distances, ItemMask, Relevance

__all__ = ["Triplets", "all_triplets", "batch_hard", "distance_weighted", "semi_hard"]


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """The triplets (i, positives[i, p], negatives[i, p, k]) where `chosen[i, p, k]`.

    Without `negatives` every item is one, in order: k is the item. Memory grows with the positives of the richest
    query, not with the square of the items.
    """

    positives: Int[Tensor, "queries slots"]
    chosen: Bool[Tensor, "queries slots choices"]
    negatives: Int[Tensor, "queries slots choices"] | None = None

    def distances(
        self, distances: Distances
    ) -> tuple[Float[Tensor, "queries slots 1"], Float[Tensor, "queries _ choices"]]:
        """Return D(a, p) and D(a, n) of the triplets."""
        positive = distances.gather(1, self.positives)[:, :, None]
        if self.negatives is None:
            return positive, distances[:, None, :]
        return positive, distances.gather(1, self.negatives.flatten(1)).view_as(self.negatives)


def all_triplets(positives: Relevance, negatives: ItemMask) -> Triplets:
    """Return every positive of a query with every negative of it."""
    slots, filled = positive_slots(positives)
    return Triplets(positives=slots, chosen=filled[:, :, None] & negatives[:, None, :])


def semi_hard(distances: Distances, positives: Relevance, negatives: ItemMask, *, margin: float) -> Triplets:
    """Return the triplets whose negative is farther than the positive, but not by the margin.

    D(a, p) < D(a, n) < D(a, p) + m (FaceNet, https://arxiv.org/abs/1503.03832, equation 4).
    """
    every = all_triplets(positives, negatives)
    positive, negative = every.distances(distances.detach())
    gaps = negative - positive
    return Triplets(positives=every.positives, chosen=every.chosen & (gaps > 0) & (gaps < margin))


def batch_hard(distances: Distances, positives: Relevance, negatives: ItemMask) -> Triplets:
    """Return one triplet a query: its farthest positive and its nearest negative.

    Of equal distances the first counts. A query that lacks one of both has no triplet. (Hermans et al. 2017,
    https://arxiv.org/abs/1703.07737, equation 5.)
    """
    if not distances.numel():
        return all_triplets(positives, negatives)
    known = distances.detach()
    farthest = _first_largest(known.masked_fill(~positives, float("-inf")))
    nearest = _first_largest(known.neg().masked_fill(~negatives, float("-inf")))
    chosen = (positives.any(dim=1) & negatives.any(dim=1))[:, None, None]
    return Triplets(positives=farthest[:, None], negatives=nearest[:, None, None], chosen=chosen)


def distance_weighted(
    distances: Distances,
    positives: Relevance,
    negatives: ItemMask,
    generator: torch.Generator,
    *,
    embed_dim: int,
    nearest: float = 0.5,
    farthest: float = 1.4,
) -> Triplets:
    r"""Draw one negative for every positive, so that distances of unit vectors come out evenly.

    .. math:: P(n) \propto 1 / q(\max(D_{an}, \text{nearest})), \qquad
        q(D) \propto D^{d - 2} \left( 1 - D^2 / 4 \right)^{(d - 3) / 2}

    q is the density of distances on the sphere of dimension d - 1. Negatives nearer than `nearest` are drawn as if they
    stood there, so that noise does not rule; beyond `farthest` none is drawn, for it gives no loss
    (https://arxiv.org/abs/1706.07567, section 4). A query with no negative within reach has no triplet.
    """
    slots, filled = positive_slots(positives)
    known = distances.detach()
    within = negatives & (known < farthest)
    clipped = known.clamp(nearest, min(farthest, 1.99))
    log_density = (embed_dim - 2) * clipped.log() + (embed_dim - 3) / 2 * (1 - clipped.square() / 4).log()
    log_weights = (-log_density).masked_fill(~within, float("-inf"))
    drawable = within.any(dim=1)
    if not drawable.any() or not slots.shape[1]:
        return Triplets(positives=slots, negatives=slots[:, :, None], chosen=torch.zeros_like(filled)[:, :, None])
    weights = log_weights.softmax(dim=1).where(drawable[:, None], 1.0)
    drawn = torch.multinomial(weights, slots.shape[1], replacement=True, generator=generator)
    return Triplets(positives=slots, negatives=drawn[:, :, None], chosen=(filled & drawable[:, None])[:, :, None])


def _first_largest(values: Float[Tensor, "queries items"]) -> Int[Tensor, " queries"]:
    """Return the first place of the largest value of each row; argmax does not promise which."""
    largest = values == values.amax(dim=1, keepdim=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(values)
    return places.where(largest, values.shape[1] - 1).amin(dim=1)
