"""STIR's training: pairs that the extractor confuses, read in either order (https://arxiv.org/abs/2304.13393).

Each query stands in a list with a picture of its own concept, the negatives mined for it in the whole gallery, and the
documents of the batch that the extractor finds nearest.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limner.config import Whole
from limner.losses.selection import same_label
from limner.models.stir import STIR, EmbeddingSTIR
from limner.nn.parts import Parts, whole
from limner.objectives.base import Objective, StepOutput
from limner.objectives.ranking import parts_of
from limner.objectives.ranking_losses import FROM_NOISE, LOSSES, Lists, LossName
from limner.types import RankingBatch, Scores

__all__ = ["STIRObjective", "STIRObjectiveConfig", "nearest_columns"]


@dataclass(frozen=True, kw_only=True)
class STIRObjectiveConfig:
    """Which loss on the scores of a list, and how many documents of the batch stand in it beside those mined.

    `classification` is the paper's: each pair alone, the same thing or not.
    """

    kind: Literal["stir"] = "stir"
    loss: LossName = "classification"
    num_in_batch: Whole = 4

    def __post_init__(self) -> None:
        """Check that the loss can be computed on chosen lists."""
        if self.loss in FROM_NOISE or self.loss == "symmetric_info_nce":
            raise ValueError(f"the loss {self.loss} needs documents that nobody chose; take classification or info_nce")


class STIRObjective(Objective):
    """Tell pictures of one concept from those that only look alike."""

    def __init__(self, model: STIR, config: STIRObjectiveConfig) -> None:
        super().__init__()
        self.model: STIR = model
        self.config = config

    def forward(self, batch: RankingBatch, step: int) -> StepOutput:
        """Return the loss of a batch, and how often the best of a list is a relevant one.

        A batch of a single concept has no negatives; its positives are learned from all the same.
        """
        queries, documents = (parts_of(self.model, side) for side in (batch.queries, batch.documents))
        columns = self._columns(batch, queries, documents)
        rows = torch.arange(columns.numel(), device=columns.device) // columns.shape[1]
        pairs = queries.take(rows), documents.take(columns.flatten())
        scores = self._in_either_order(*pairs).view(columns.shape)
        relevance = same_label(batch.queries.concepts, batch.documents.concepts).gather(1, columns)
        lists = Lists(
            scores=scores,
            distances=self.model.distances(scores),
            relevance=relevance,
            mask=torch.ones_like(relevance),
            own=torch.zeros_like(columns[:, 0]),
            num_items=batch.num_items,
        )
        best = scores.detach().argmax(dim=1, keepdim=True)
        metrics = {
            "accuracy": relevance.gather(1, best).float().mean(),
            "relevant_score": scores.detach()[relevance].mean(),
            "score_spread": scores.detach().std(correction=0),
        }
        return StepOutput(LOSSES[self.config.loss](lists), metrics)

    def _in_either_order(self, one: Parts, other: Parts) -> Float[Tensor, " pairs"]:
        """Read each pair in an order drawn at random, so that the head learns both for the price of one."""
        swapped = torch.rand(len(one), 1, 1, device=one.vectors.device) < 0.5
        first = torch.where(swapped, other.vectors, one.vectors)
        second = torch.where(swapped, one.vectors, other.vectors)
        return self.model.ordered_scores(whole(first), whole(second))

    def _columns(self, batch: RankingBatch, queries: Parts, documents: Parts) -> Int[Tensor, "queries size"]:
        """Return the places of each query's documents: its own, those mined for it, the nearest others of the batch."""
        own = torch.arange(len(queries), device=queries.mask.device)[:, None]
        mined = len(queries) + own * batch.num_mined + torch.arange(batch.num_mined, device=own.device)
        if not isinstance(self.model, EmbeddingSTIR):  # the next queries' documents
            others = (own + torch.arange(1, len(queries), device=own.device)) % len(queries)
            return torch.cat([own, mined, others[:, : self.config.num_in_batch]], dim=1)
        with torch.no_grad():
            likeness = self.model.embeddings(queries) @ self.model.embeddings(documents).T
        relevance = same_label(batch.queries.concepts, batch.documents.concepts)
        nearest = nearest_columns(likeness.masked_fill(relevance, -2), torch.cat([own, mined], dim=1))
        return torch.cat([own, mined, nearest[:, : self.config.num_in_batch]], dim=1)


def nearest_columns(scores: Scores, taken: Int[Tensor, "queries some"]) -> Int[Tensor, "queries others"]:
    """Return the columns of each row that are not taken yet, best first."""
    order = scores.scatter(1, taken, float("-inf")).argsort(dim=1, descending=True, stable=True)
    return order[:, : scores.shape[1] - taken.shape[1]]
