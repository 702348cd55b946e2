"""The losses that are compared: what each computes from a batch, and its grid of settings, of one size for all."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch

from limner.losses.contrastive import info_nce, sigmoid_pairs, symmetric_info_nce
from limner.losses.lambda_rank import lambda_rank
from limner.losses.listwise import approx_ndcg, list_mle, list_net, smooth_ap, softmax_cross_entropy
from limner.losses.noise import even_batch
from limner.losses.pairwise import margin_contrastive, ranknet
from limner.losses.pointwise import relevance_cross_entropy
from limner.losses.sampled import in_batch_softmax, negative_sampling, noise_contrastive, sampled_softmax
from limner.losses.similarity import dot_product, unit_euclidean
from limner.losses.triplet import soft_triplet, triplet_margin
from limner.losses.triplet_selection import batch_hard, semi_hard

__all__ = ["BASELINE", "CONTENDERS", "Contender", "Setting", "Step", "settings_of"]

BASELINE = "info_nce"
_LEARNING_RATES = (1e-3, 3e-3)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Unit vectors of a batch's texts (queries) and pictures (items), row i of both a pair, and what answers what.

    `past` and `past_hits` are items of earlier batches and which of them a query must not push away.
    """

    queries: torch.Tensor
    items: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor
    relevance: torch.Tensor
    grades: torch.Tensor
    num_items: int
    past: torch.Tensor | None = None
    past_hits: torch.Tensor | None = None

    @property
    def cosines(self) -> torch.Tensor:
        return dot_product(self.queries, self.items)

    @property
    def scores(self) -> torch.Tensor:
        """Cosines by the learned scale."""
        return self.scale * self.cosines

    @property
    def odds(self) -> torch.Tensor:
        """Cosines by the learned scale, and the learned bias."""
        return self.scores + self.bias

    @property
    def distances(self) -> torch.Tensor:
        return unit_euclidean(self.queries, self.items)

    def told_apart(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the odds of each query's own item, and those of the others, which are the noise."""
        odds = self.odds
        others = ~torch.eye(len(odds), dtype=torch.bool)
        return odds.diagonal(), odds[others].view(len(odds), -1)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A loss: its name for a reader, its family, its own setting with two values, and how the learned numbers start.

    A setting `scale` is the value that the learned scale starts from.
    """

    title: str
    family: str
    compute: Callable[[Step, float], torch.Tensor]
    setting: str
    values: tuple[float, float]
    scale: float = 10.0
    bias: float = 0.0
    memory_size: int = 0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One point of a loss's grid."""

    learning_rate: float
    value: float


def settings_of(contender: Contender) -> list[Setting]:
    """Return the grid of a loss: two learning rates by two values of its own."""
    return [Setting(learning_rate=rate, value=value) for rate, value in product(_LEARNING_RATES, contender.values)]


def _hard_triplet(step: Step, margin: float) -> torch.Tensor:
    distances = step.distances
    return triplet_margin(distances, batch_hard(distances, step.relevance, ~step.relevance), margin=margin)


def _semi_hard_triplet(step: Step, margin: float) -> torch.Tensor:
    distances = step.distances
    triplets = semi_hard(distances, step.relevance, ~step.relevance, margin=margin)
    return triplet_margin(distances, triplets, margin=margin)


def _soft_triplet(step: Step, factor: float) -> torch.Tensor:
    distances = factor * step.distances
    return soft_triplet(distances, batch_hard(distances, step.relevance, ~step.relevance))


def _memory_softmax(step: Step, _: float) -> torch.Tensor:
    assert step.past is not None and step.past_hits is not None
    drawn = torch.cat([step.items, step.past])
    hits = torch.cat([step.relevance, step.past_hits], dim=1)
    scores = step.scale * dot_product(step.queries, drawn)
    _, log_q, _ = even_batch(scores, step.num_items)
    return sampled_softmax(scores.diagonal(), scores, log_q[None], hits)


def _in_batch_softmax(step: Step, _: float) -> torch.Tensor:
    _, log_q, _ = even_batch(step.scores, step.num_items)
    return in_batch_softmax(step.scores, step.relevance, log_q)


def _nce(step: Step, _: float) -> torch.Tensor:
    positives, noise = step.told_apart()
    own_log_q, log_q, share = even_batch(noise, step.num_items)
    return noise_contrastive(positives, noise, own_log_q, log_q[None], share=share)


def _neg(step: Step, _: float) -> torch.Tensor:
    positives, noise = step.told_apart()
    *_, share = even_batch(noise, step.num_items)
    return negative_sampling(positives, noise, share=share)


CONTENDERS: dict[str, Contender] = {
    "classification": Contender(
        title="classification",
        family="pointwise",
        compute=lambda step, weight: relevance_cross_entropy(step.odds, step.relevance, positive_weight=weight),
        setting="positive weight",
        values=(1.0, 16.0),
        bias=-5.0,
    ),
    "sigmoid": Contender(
        title="sigmoid of pairs",
        family="pointwise",
        compute=lambda step, _: sigmoid_pairs(step.odds, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
        bias=-10.0,
    ),
    "contrastive": Contender(
        title="contrastive with margin",
        family="pairwise",
        compute=lambda step, margin: margin_contrastive(step.distances, step.relevance, margin=margin),
        setting="margin",
        values=(0.7, 1.2),
    ),
    "triplet_hard": Contender(
        title="triplet, batch-hard", family="pairwise", compute=_hard_triplet, setting="margin", values=(0.1, 0.3)
    ),
    "triplet_semi_hard": Contender(
        title="triplet, semi-hard", family="pairwise", compute=_semi_hard_triplet, setting="margin", values=(0.1, 0.3)
    ),
    "soft_triplet": Contender(
        title="soft triplet, batch-hard",
        family="pairwise",
        compute=_soft_triplet,
        setting="factor of distances",
        values=(5.0, 20.0),
    ),
    "ranknet": Contender(
        title="RankNet",
        family="pairwise",
        compute=lambda step, _: ranknet(step.scores, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
    ),
    "info_nce": Contender(
        title="InfoNCE",
        family="softmax",
        compute=lambda step, _: info_nce(step.scores, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
    ),
    "symmetric_info_nce": Contender(
        title="InfoNCE both ways",
        family="softmax",
        compute=lambda step, _: symmetric_info_nce(step.scores, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
    ),
    "softmax": Contender(
        title="softmax, positives compete",
        family="softmax",
        compute=lambda step, _: softmax_cross_entropy(step.scores, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
    ),
    "in_batch_softmax": Contender(
        title="in-batch softmax, logQ",
        family="partition function",
        compute=_in_batch_softmax,
        setting="scale",
        values=(10.0, 20.0),
    ),
    "memory_softmax": Contender(
        title="sampled softmax, memory",
        family="partition function",
        compute=_memory_softmax,
        setting="scale",
        values=(10.0, 20.0),
        memory_size=2048,
    ),
    "nce": Contender(
        title="NCE",
        family="partition function",
        compute=_nce,
        setting="scale",
        values=(10.0, 20.0),
        bias=-10.0,
    ),
    "neg": Contender(
        title="NEG",
        family="partition function",
        compute=_neg,
        setting="scale",
        values=(10.0, 20.0),
        bias=-10.0,
    ),
    "lambda_rank": Contender(
        title="LambdaRank",
        family="listwise",
        compute=lambda step, depth: lambda_rank(step.scores, step.relevance, truncation=int(depth)),
        setting="truncation",
        values=(10.0, 40.0),
    ),
    "graded_lambda_rank": Contender(
        title="LambdaRank, grades",
        family="listwise",
        compute=lambda step, depth: lambda_rank(step.scores, step.grades, truncation=int(depth)),
        setting="truncation",
        values=(10.0, 40.0),
    ),
    "list_net": Contender(
        title="ListNet",
        family="listwise",
        compute=lambda step, gain: list_net(step.scores, gain * step.relevance),
        setting="factor of grades",
        values=(4.0, 8.0),
    ),
    "list_mle": Contender(
        title="ListMLE",
        family="listwise",
        compute=lambda step, _: list_mle(step.scores, step.relevance),
        setting="scale",
        values=(10.0, 20.0),
    ),
    "approx_ndcg": Contender(
        title="ApproxNDCG",
        family="listwise",
        compute=lambda step, temperature: approx_ndcg(step.cosines, step.relevance, temperature=temperature),
        setting="temperature",
        values=(0.03, 0.1),
    ),
    "smooth_ap": Contender(
        title="SmoothAP",
        family="listwise",
        compute=lambda step, temperature: smooth_ap(step.cosines, step.relevance, temperature=temperature),
        setting="temperature",
        values=(0.01, 0.05),
    ),
}
"""Every loss of the experiment, by the name that `--only` takes."""
