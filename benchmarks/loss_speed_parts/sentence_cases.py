"""Losses beside those of sentence-transformers, which take columns of embeddings, or lists of pairs and a scorer."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from limner.losses.contrastive import info_nce
from limner.losses.distillation import kl_from_teacher, margin_mse
from limner.losses.lambda_rank import lambda_rank
from limner.losses.listwise import list_mle, list_net
from limner.losses.pairwise import margin_contrastive, ranknet
from limner.losses.similarity import dot_product
from limner.losses.triplet import triplet_margin
from limner.losses.triplet_selection import all_triplets
from loss_speed_parts.cases import CASES, MARGIN, PER_LABEL, SCALE, Batch, Case, Loss

__all__ = ["SENTENCE_CASES"]

_NUM_TAUGHT, _DEPTH = 8, 10


def _pairs(batch: Batch) -> Tensor:
    """Return distances of every row to the next one: three of four are of the same label."""
    return (batch.units - batch.units.roll(-1, dims=0)).norm(dim=1)


def _is_same(batch: Batch) -> Tensor:
    return batch.labels == batch.labels.roll(-1)


def _taught(batch: Batch) -> list[Tensor]:
    """Return columns: every row, a row of its label, and rows of others."""
    units = batch.units
    steps = [0, 1, *(PER_LABEL * number for number in range(1, _NUM_TAUGHT))]
    return [units.roll(-step, dims=0) for step in steps]


def _taught_scores(batch: Batch) -> Tensor:
    rows, *items = _taught(batch)
    return torch.stack([(rows * each).sum(dim=1) for each in items], dim=1)


def _teacher(batch: Batch) -> Tensor:
    return torch.randn(len(batch.vectors), _NUM_TAUGHT, generator=torch.Generator().manual_seed(0))


def _is_first(batch: Batch) -> Tensor:
    return (torch.arange(_NUM_TAUGHT) == 0).expand(len(batch.vectors), -1)


def _in_batch(batch: Batch) -> Tensor:
    units = batch.units
    scores = SCALE * dot_product(units, units.roll(-1, dims=0))
    return info_nce(scores, torch.eye(len(units), dtype=torch.bool))


def _of_columns(
    name: str, columns: Callable[[Batch], Sequence[Tensor]], labels: Callable[[Batch], Tensor], **settings: Any
) -> Callable[[], Loss]:
    def make() -> Loss:
        from sentence_transformers.sentence_transformer import losses

        loss = getattr(losses, name)(nn.Identity(), **settings)
        return lambda batch: loss.compute_loss_from_embeddings(list(columns(batch)), labels(batch))

    return make


def _of_labels(name: str, **settings: float) -> Callable[[], Loss]:
    def make() -> Loss:
        from sentence_transformers.sentence_transformer.losses import BatchHardTripletLossDistanceFunction

        euclidean = BatchHardTripletLossDistanceFunction.eucledian_distance
        columns, labels = (lambda batch: [batch.units]), (lambda batch: batch.labels)
        return _of_columns(name, columns, labels, distance_metric=euclidean, **settings)()

    return make


def _of_pairs() -> Loss:
    columns, labels = (lambda batch: [batch.units, batch.units.roll(-1, dims=0)]), (lambda batch: _is_same(batch).int())
    return _of_columns("ContrastiveLoss", columns, labels, distance_metric=functional.pairwise_distance)()


class _Scorer(nn.Module):
    """What a cross-encoder is to a loss; it knows the scores of all pairs of a batch already."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.scores = torch.zeros(0)

    def preprocess(self, pairs: object, **_: object) -> dict[str, Tensor]:
        return {}

    def forward(self, tokens: object) -> dict[str, Tensor]:
        return {"scores": self.scores}


def _is_label(batch: Batch) -> Tensor:
    return ~batch.negatives


def _graded(batch: Batch) -> Tensor:
    return 8 * _is_label(batch)


def _in_order(batch: Batch) -> Tensor:
    """Return grades that are all different: ties are another matter to each library."""
    return torch.arange(len(batch.vectors)).expand(len(batch.vectors), -1)


def _of_lists(name: str, grades: Callable[[Batch], Tensor], *, scheme: str = "", **settings: Any) -> Callable[[], Loss]:
    """Make a loss of its cross-encoders, over all rows of a batch as items of each; its lists of pairs are its own."""

    def make() -> Loss:
        from sentence_transformers.cross_encoder import losses

        scorer = _Scorer()
        schemes = {"weighting_scheme": getattr(losses, scheme)()} if scheme else {}
        loss = getattr(losses, name)(scorer, mini_batch_size=-1, **schemes, **settings)

        def work(batch: Batch) -> Tensor:
            rows = list(range(len(batch.vectors)))
            scorer.scores = batch.scores()
            value: Tensor = loss([rows, [rows] * len(rows)], list(grades(batch).unbind()))
            return value

        return work

    return make


SENTENCE_CASES: dict[str, Case] = {
    "triplet_all": Case(
        title="triplet, all violated",
        ours=lambda batch: triplet_margin(
            batch.distances(), all_triplets(batch.positives, batch.negatives), margin=MARGIN, only_violated=True
        ),
        peer=_of_labels("BatchAllTripletLoss", margin=MARGIN),
    ),
    "triplet_hard": Case(
        title="triplet, batch-hard",
        ours=CASES["triplet_hard"].ours,
        peer=_of_labels("BatchHardTripletLoss", margin=MARGIN),
    ),
    "triplet_semi_hard": Case(
        title="triplet, semi-hard",
        ours=CASES["triplet_semi_hard"].ours,
        peer=_of_labels("BatchSemiHardTripletLoss", margin=MARGIN),
        other="the nearest semi-hard negative alone",
    ),
    "soft_triplet": Case(
        title="soft triplet, batch-hard",
        ours=CASES["soft_triplet"].ours,
        peer=_of_labels("BatchHardSoftMarginTripletLoss"),
    ),
    "contrastive": Case(
        title="contrastive with margin, a pair a row",
        ours=lambda batch: margin_contrastive(_pairs(batch)[:, None], _is_same(batch)[:, None]),
        peer=_of_pairs,
    ),
    "in_batch": Case(
        title="in-batch softmax (MultipleNegativesRanking)",
        ours=_in_batch,
        peer=_of_columns(
            "MultipleNegativesRankingLoss",
            lambda batch: [batch.vectors, batch.vectors.roll(-1, dims=0)],
            lambda batch: batch.labels,
            scale=SCALE,
        ),
    ),
    "margin_mse": Case(
        title=f"Margin-MSE, {_NUM_TAUGHT} items a row",
        ours=lambda batch: margin_mse(_taught_scores(batch), _teacher(batch), _is_first(batch)),
        peer=_of_columns("MarginMSELoss", _taught, _teacher),
    ),
    "kl_from_teacher": Case(
        title=f"KL from a teacher, {_NUM_TAUGHT} items a row",
        ours=lambda batch: kl_from_teacher(_taught_scores(batch), _teacher(batch), temperature=2.0),
        peer=_of_columns("DistillKLDivLoss", _taught, _teacher, temperature=2.0),
    ),
    "ranknet": Case(
        title="RankNet",
        ours=lambda batch: ranknet(batch.scores(), _is_label(batch).float()),
        peer=_of_lists("RankNetLoss", _is_label, reduction_log="natural"),
    ),
    "lambda_rank": Case(
        title=f"LambdaRank, first {_DEPTH}",
        ours=lambda batch: lambda_rank(batch.scores(), _is_label(batch), truncation=_DEPTH),
        peer=_of_lists("LambdaLoss", _is_label, scheme="LambdaRankScheme", reduction_log="natural", k=_DEPTH),
        other="the mean over pairs",
    ),
    "list_net": Case(
        title="ListNet",
        ours=lambda batch: list_net(batch.scores(), _graded(batch)),
        peer=_of_lists("ListNetLoss", _graded),
    ),
    "list_mle": Case(
        title="ListMLE",
        ours=lambda batch: list_mle(batch.scores(), _in_order(batch)),
        peer=_of_lists("ListMLELoss", _in_order, respect_input_order=False),
    ),
}
"""Every loss that is timed beside sentence-transformers', by name."""
