"""Every loss that a relevance model can be trained with, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limner.losses.contrastive import info_nce, sigmoid_pairs, symmetric_info_nce
from limner.losses.lambda_rank import lambda_rank
from limner.losses.listwise import approx_ndcg, list_mle, list_net, smooth_ap, softmax_cross_entropy
from limner.losses.noise import even_batch
from limner.losses.pairwise import margin_contrastive, ranknet
from limner.losses.pointwise import relevance_cross_entropy
from limner.losses.sampled import in_batch_softmax, negative_sampling, noise_contrastive
from limner.losses.triplet import soft_triplet, triplet_margin
from limner.losses.triplet_selection import batch_hard
from limner.types import Distances, ItemMask, Relevance, Scalar, Scores

__all__ = ["FROM_NOISE", "LOSSES", "Lists", "LossName"]


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The documents that each query is judged on: all of a batch, or a few chosen ones.

    `own` is the column of the document that the query came with; `mask` leaves out suspected false negatives;
    `num_items` is how many documents the collection has.
    """

    scores: Scores
    distances: Distances
    relevance: Relevance
    mask: ItemMask
    own: Int[Tensor, " queries"]
    num_items: int

    def told_apart(self) -> tuple[Float[Tensor, " queries"], Float[Tensor, "queries samples"]]:
        """Return the scores of each query's own document, and those of the others, which are the noise.

        A document that happens to be relevant is one that the noise may draw.
        """
        columns = torch.arange(self.scores.shape[1], device=self.scores.device)
        others = columns[None, :] != self.own[:, None]
        positives = self.scores.gather(1, self.own[:, None])[:, 0]
        return positives, self.scores[others].view(len(self.scores), -1)


def _triplet(lists: Lists) -> Scalar:
    triplets = batch_hard(lists.distances, lists.relevance, lists.mask & ~lists.relevance)
    return triplet_margin(lists.distances, triplets, margin=0.2)


def _soft_triplet(lists: Lists) -> Scalar:
    return soft_triplet(lists.distances, batch_hard(lists.distances, lists.relevance, lists.mask & ~lists.relevance))


def _sampled_softmax(lists: Lists) -> Scalar:
    _, log_q, _ = even_batch(lists.scores, lists.num_items)
    return in_batch_softmax(lists.scores, lists.relevance, log_q)


def _nce(lists: Lists) -> Scalar:
    """Return NCE; at its optimum the scores of a query are log p(d | q), and e^s adds up to one over the collection."""
    positives, noise = lists.told_apart()
    own_log_q, log_q, share = even_batch(noise, lists.num_items)
    return noise_contrastive(positives, noise, own_log_q, log_q[None], share=share)


def _neg(lists: Lists) -> Scalar:
    positives, noise = lists.told_apart()
    *_, share = even_batch(noise, lists.num_items)
    return negative_sampling(positives, noise, share=share)


LossName = Literal[
    "approx_ndcg",
    "classification",
    "contrastive",
    "info_nce",
    "lambda_rank",
    "list_mle",
    "list_net",
    "nce",
    "neg",
    "ranknet",
    "sampled_softmax",
    "sigmoid",
    "smooth_ap",
    "soft_triplet",
    "softmax",
    "symmetric_info_nce",
    "triplet",
]

LOSSES: dict[LossName, Callable[[Lists], Scalar]] = {
    # Each pair judged alone: the score is the log-odds of relevance.
    "classification": lambda lists: relevance_cross_entropy(lists.scores, lists.relevance, lists.mask),
    "sigmoid": lambda lists: sigmoid_pairs(lists.scores, lists.relevance),
    # Two at a time, by distances or by differences of scores.
    "contrastive": lambda lists: margin_contrastive(lists.distances, lists.relevance, lists.mask),
    "ranknet": lambda lists: ranknet(lists.scores, lists.relevance, lists.mask),
    "soft_triplet": _soft_triplet,
    "triplet": _triplet,
    # A whole list.
    "approx_ndcg": lambda lists: approx_ndcg(-lists.distances, lists.relevance, lists.mask),
    "info_nce": lambda lists: info_nce(lists.scores, lists.relevance, lists.mask),
    "lambda_rank": lambda lists: lambda_rank(lists.scores, lists.relevance, lists.mask),
    "list_mle": lambda lists: list_mle(lists.scores, lists.relevance, lists.mask),
    "list_net": lambda lists: list_net(lists.scores, lists.relevance, lists.mask),
    "smooth_ap": lambda lists: smooth_ap(-lists.distances, lists.relevance, lists.mask),
    "softmax": lambda lists: softmax_cross_entropy(lists.scores, lists.relevance, lists.mask),
    "symmetric_info_nce": lambda lists: symmetric_info_nce(lists.scores, lists.relevance, lists.mask),
    # The partition function over the collection, from the batch as a sample of it.
    "nce": _nce,
    "neg": _neg,
    "sampled_softmax": _sampled_softmax,
}

FROM_NOISE = frozenset({"nce", "neg", "sampled_softmax"})
"""Losses whose other documents must be drawn from q(d) = 1 / N, so that none may be mined."""
