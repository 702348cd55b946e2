"""Learning to rank: a relevance model, a loss by name, and lists of documents for each query."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from limner.config import NotNegative
from limner.losses.selection import guarded_negatives, same_label
from limner.models.language_relevance import LanguageRelevance
from limner.models.relevance import RelevanceModel
from limner.nn.gathering import first_place, gathered, gathered_parts
from limner.nn.parts import Parts
from limner.objectives.base import Objective, StepOutput
from limner.objectives.ranking_losses import LOSSES, Lists, LossName
from limner.types import ItemMask, RankingBatch, Relevance, Scores, Side

__all__ = ["RankingObjective", "RankingObjectiveConfig", "candidates", "parts_of"]

_CANDIDATES_OF_PAIR_READERS = 16


@dataclass(frozen=True, kw_only=True)
class RankingObjectiveConfig:
    """Which loss, on how many documents a query, and which of them may not be negatives.

    `num_candidates` documents stand in each list: the query's own, its mined negatives, others of the batch. 0 takes
    all of the batch, or 16 where the model reads each pair and the loss does not rank queries too. With `guard_margin`
    r, documents that the model itself scores above the best positive less the share r of it are taken for false
    negatives and left out.

    `language_weight` has a language model also learn to say the words of a query after its own document (query
    likelihood, https://doi.org/10.1145/290941.291008): it weighs the mean negative log-probability of a word.
    """

    kind: Literal["ranking"] = "ranking"
    loss: LossName = "info_nce"
    num_candidates: int = 0
    guard_margin: NotNegative | None = None
    language_weight: NotNegative = 0.0

    def __post_init__(self) -> None:
        """Check that the loss can be computed on such lists."""
        if self.num_candidates < 0 or self.num_candidates == 1:
            raise ValueError(f"num_candidates {self.num_candidates} leaves nothing to rank: give 0 or at least 2")
        if self.num_candidates and self.loss == "symmetric_info_nce":
            raise ValueError("symmetric_info_nce ranks queries for documents too: leave num_candidates at 0")


class RankingObjective(Objective):
    """Rank each query's documents, whatever the model and the loss."""

    def __init__(self, model: RelevanceModel, config: RankingObjectiveConfig) -> None:
        super().__init__()
        self.model: RelevanceModel = model
        self.config = config
        assert not config.language_weight or isinstance(model, LanguageRelevance), "only language models say words"

    def forward(self, batch: RankingBatch, step: int) -> StepOutput:
        """Return the loss of a batch, and how often the best document is a relevant one."""
        queries, documents = parts_of(self.model, batch.queries), parts_of(self.model, batch.documents)
        lists = self._lists(batch, queries, documents)
        counted = lists.scores.detach().masked_fill(~lists.mask, float("-inf"))
        right = lists.relevance.gather(1, counted.argmax(dim=1, keepdim=True))
        metrics = {"accuracy": right.float().mean(), "score_spread": lists.scores.detach().std()}
        loss = LOSSES[self.config.loss](lists)
        tokens = batch.queries.tokens
        if self.config.language_weight and isinstance(self.model, LanguageRelevance) and tokens is not None:
            own = documents.take(torch.arange(len(queries), device=tokens.device))
            surprise = -self.model.text_likelihoods(tokens, own).mean()
            loss = loss + self.config.language_weight * surprise
            metrics["word_surprise"] = surprise.detach()
        return StepOutput(loss, metrics)

    def _lists(self, batch: RankingBatch, queries: Parts, documents: Parts) -> Lists:
        labels = [(batch.queries.concepts, batch.documents.concepts), (batch.queries.texts, batch.documents.texts)]
        own = torch.arange(len(queries), device=documents.mask.device)
        size = self._list_size()
        if not size:
            own = gathered(own + first_place(len(documents)))
            queries, documents = gathered_parts(queries), gathered_parts(documents)
            labels = [(gathered(asked), gathered(offered)) for asked, offered in labels]
        (asked_concepts, concepts), (asked_texts, texts) = labels
        relevance = same_label(asked_concepts, concepts) | same_label(asked_texts, texts)
        if 0 < size < len(documents):
            columns = candidates(len(queries), batch.num_mined, size).to(relevance.device)
            rows = torch.arange(columns.numel(), device=relevance.device) // columns.shape[1]
            pairs = self.model.pair_scores(queries.take(rows), documents.take(columns.flatten()))
            scores, relevance = pairs.view(columns.shape), relevance.gather(1, columns)
            own = torch.zeros_like(columns[:, 0])
        else:
            scores = self.model.all_scores(queries, documents)
        return Lists(
            scores=scores,
            distances=self.model.distances(scores),
            relevance=relevance,
            mask=self._mask(scores, relevance),
            own=own,
            num_items=batch.num_items,
        )

    def _list_size(self) -> int:
        """Return how many documents each query is judged on, 0 for those of all the batch, of every rank.

        Chosen ones are of the own rank: what they cost is the reading of pairs, which no rank should do again.
        """
        few = self.model.reads_pairs and self.config.loss != "symmetric_info_nce"
        return self.config.num_candidates or (_CANDIDATES_OF_PAIR_READERS if few else 0)

    def _mask(self, scores: Scores, relevance: Relevance) -> ItemMask:
        if self.config.guard_margin is None:
            return torch.ones_like(relevance)
        return relevance | guarded_negatives(scores, relevance, relative=self.config.guard_margin)


def parts_of(model: RelevanceModel, side: Side) -> Parts:
    """Return the parts of a side's pictures or texts."""
    if side.images is not None:
        return model.picture_parts(side.images)
    assert side.tokens is not None
    return model.text_parts(side.tokens)


def candidates(num_queries: int, num_mined: int, size: int) -> Int[Tensor, "queries size"]:
    """Return the places of each query's documents: its own, those mined for it, and those of the queries after it."""
    queries = torch.arange(num_queries)[:, None]
    mined = num_queries + queries * num_mined + torch.arange(num_mined)
    others = (queries + torch.arange(1, num_queries)) % num_queries
    return torch.cat([queries, mined, others], dim=1)[:, :size]
