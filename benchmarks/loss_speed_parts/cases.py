"""Losses to be timed, each from the vectors of a batch to one number, some beside pytorch-metric-learning's."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from limner.losses.contrastive import info_nce, sigmoid_pairs
from limner.losses.hierarchical import Tree, balanced_tree, hierarchical_softmax
from limner.losses.lambda_rank import lambda_rank
from limner.losses.listwise import approx_ndcg, list_mle, list_net, smooth_ap, softmax_cross_entropy
from limner.losses.pairwise import margin_contrastive, ranknet
from limner.losses.pointwise import relevance_cross_entropy
from limner.losses.sampled import in_batch_softmax, negative_sampling, noise_contrastive, sampled_softmax
from limner.losses.selection import same_label, without_self
from limner.losses.similarity import dot_product, unit_euclidean
from limner.losses.triplet import soft_triplet, triplet_margin
from limner.losses.triplet_selection import Triplets, all_triplets, batch_hard, semi_hard

__all__ = ["CASES", "MARGIN", "PER_LABEL", "SCALE", "Batch", "Case", "Loss", "make_batch"]

PER_LABEL = 4
SCALE, MARGIN = 20.0, 0.2
_EMBED_DIM, _TAU, _DEPTH, _SAMPLES = 256, 0.05, 10, 256


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Vectors that need a gradient, their labels, and the pairs that may be positives and negatives.

    For the losses over a collection: the rows drawn from it, and a tree of it with the vectors of its nodes.
    """

    vectors: Tensor
    labels: Tensor
    positives: Tensor
    negatives: Tensor
    drawn: Tensor
    nodes: Tensor
    tree: Tree

    @property
    def units(self) -> Tensor:
        return functional.normalize(self.vectors, dim=1)

    @property
    def counted(self) -> Tensor:
        return self.positives | self.negatives

    def scores(self) -> Tensor:
        units = self.units
        return SCALE * dot_product(units, units)

    def distances(self) -> Tensor:
        units = self.units
        return unit_euclidean(units, units)

    def sampled(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores of one positive a query and of items drawn from uniform noise, and log q."""
        units = self.units
        log_q = -torch.full((1, _SAMPLES), float(len(units))).log()
        positives = SCALE * (units * units.roll(1, dims=0)).sum(dim=1)
        return positives, SCALE * dot_product(units, units[self.drawn]), log_q


Loss = Callable[[Batch], Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A loss of ours, and how the peer's is made, whose value and gradient are the same unless `other` says why not."""

    title: str
    ours: Loss
    peer: Callable[[], Loss] | None = None
    other: str = ""


def make_batch(size: int) -> Batch:
    """Return a batch of clusters of four, so that positives are nearer than most negatives."""
    generator = torch.Generator().manual_seed(size)
    labels = torch.arange(size) // PER_LABEL
    centres = torch.randn(int(labels.max()) + 1, _EMBED_DIM, generator=generator)
    vectors = centres[labels] + 1.5 * torch.randn(size, _EMBED_DIM, generator=generator)
    relevance = same_label(labels, labels)
    return Batch(
        vectors=vectors.requires_grad_(),
        labels=labels,
        positives=without_self(relevance),
        negatives=~relevance,
        drawn=torch.randint(size, (_SAMPLES,), generator=generator),
        nodes=torch.randn(size - 1, _EMBED_DIM, generator=generator).requires_grad_(),
        tree=balanced_tree(size),
    )


def _triplets(choose: Callable[[Tensor, Batch], Triplets]) -> Loss:
    def loss(batch: Batch) -> Tensor:
        distances = batch.distances()
        return triplet_margin(distances, choose(distances, batch), margin=MARGIN)

    return loss


def _soft(batch: Batch) -> Tensor:
    distances = batch.distances()
    return soft_triplet(distances, batch_hard(distances, batch.positives, batch.negatives))


def _peer_triplet(miner: str = "", **more: object) -> Callable[[], Loss]:
    def make() -> Loss:
        from pytorch_metric_learning import distances, losses, miners, reducers

        loss = losses.TripletMarginLoss(
            margin=MARGIN, distance=distances.LpDistance(), reducer=reducers.MeanReducer(), **more
        )
        of = {
            "hard": lambda: miners.BatchHardMiner(distance=distances.LpDistance()),
            "semi-hard": lambda: miners.TripletMarginMiner(
                margin=MARGIN, type_of_triplets="semihard", distance=distances.LpDistance()
            ),
        }
        chooser = of[miner]() if miner else None
        return lambda batch: loss(batch.vectors, batch.labels, chooser and chooser(batch.vectors, batch.labels))

    return make


def _peer(name: str, **settings: float) -> Callable[[], Loss]:
    def make() -> Loss:
        from pytorch_metric_learning import losses

        loss = getattr(losses, name)(**settings)
        return lambda batch: loss(batch.vectors, batch.labels)

    return make


def _nce(batch: Batch) -> Tensor:
    positives, noise, log_q = batch.sampled()
    return noise_contrastive(positives, noise, log_q[0, :1].expand(len(positives)), log_q)


def _in_batch(batch: Batch) -> Tensor:
    scores = batch.scores()
    log_q = -torch.full((scores.shape[1],), float(len(scores))).log()
    return in_batch_softmax(scores, batch.positives, log_q)


def _hierarchical(batch: Batch) -> Tensor:
    return hierarchical_softmax(batch.units, batch.nodes, batch.tree, torch.arange(len(batch.vectors)))


CASES: dict[str, Case] = {
    "triplet_all": Case(
        title="triplet, all",
        ours=_triplets(lambda _, batch: all_triplets(batch.positives, batch.negatives)),
        peer=_peer_triplet(),
    ),
    "triplet_hard": Case(
        title="triplet, batch-hard",
        ours=_triplets(lambda distances, batch: batch_hard(distances, batch.positives, batch.negatives)),
        peer=_peer_triplet("hard"),
    ),
    "triplet_semi_hard": Case(
        title="triplet, semi-hard",
        ours=_triplets(lambda d, batch: semi_hard(d, batch.positives, batch.negatives, margin=MARGIN)),
        peer=_peer_triplet("semi-hard"),
    ),
    "soft_triplet": Case(
        title="soft triplet, batch-hard",
        ours=_soft,
        peer=_peer_triplet("hard", smooth_loss=True),
        other="log(1 + e^(margin + gap))",
    ),
    "contrastive": Case(
        title="contrastive with margin",
        ours=lambda batch: margin_contrastive(batch.distances(), batch.positives, batch.counted),
        peer=_peer("ContrastiveLoss", neg_margin=0.5),
        other="terms not squared",
    ),
    "info_nce": Case(
        title="InfoNCE, several positives",
        ours=lambda batch: info_nce(batch.scores(), batch.positives, batch.counted),
        peer=_peer("NTXentLoss", temperature=1 / SCALE),
    ),
    "softmax": Case(
        title="softmax cross-entropy (SupCon)",
        ours=lambda batch: softmax_cross_entropy(batch.scores(), batch.positives, batch.counted),
        peer=_peer("SupConLoss", temperature=1 / SCALE),
    ),
    "smooth_ap": Case(
        title="SmoothAP",
        ours=lambda batch: smooth_ap(batch.scores() / SCALE, batch.positives, batch.counted, temperature=_TAU),
        peer=_peer("SmoothAPLoss", temperature=_TAU),
        other="the query is one of its items",
    ),
    "classification": Case(
        title="classification",
        ours=lambda batch: relevance_cross_entropy(batch.scores(), batch.positives, batch.counted),
    ),
    "sigmoid": Case(title="sigmoid of pairs", ours=lambda batch: sigmoid_pairs(batch.scores(), batch.positives)),
    "ranknet": Case(
        title="RankNet", ours=lambda batch: ranknet(batch.scores(), batch.positives.float(), batch.counted)
    ),
    "lambda_rank": Case(
        title=f"LambdaRank, first {_DEPTH}",
        ours=lambda batch: lambda_rank(batch.scores(), batch.positives, batch.counted, truncation=_DEPTH),
    ),
    "list_net": Case(title="ListNet", ours=lambda batch: list_net(batch.scores(), 8 * batch.positives, batch.counted)),
    "list_mle": Case(title="ListMLE", ours=lambda batch: list_mle(batch.scores(), batch.positives, batch.counted)),
    "approx_ndcg": Case(
        title="ApproxNDCG",
        ours=lambda batch: approx_ndcg(batch.scores() / SCALE, batch.positives, batch.counted, temperature=_TAU),
    ),
    "in_batch_softmax": Case(title="in-batch softmax, logQ", ours=_in_batch),
    "sampled_softmax": Case(
        title=f"sampled softmax, {_SAMPLES} draws", ours=lambda batch: sampled_softmax(*batch.sampled())
    ),
    "nce": Case(title=f"NCE, {_SAMPLES} draws", ours=_nce),
    "neg": Case(title=f"NEG, {_SAMPLES} draws", ours=lambda batch: negative_sampling(*batch.sampled()[:2])),
    "hierarchical": Case(title="hierarchical softmax", ours=_hierarchical),
}
"""Every loss that is timed, by name."""
