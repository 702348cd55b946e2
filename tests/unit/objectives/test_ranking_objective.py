import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from tests.contracts.test_models import JOINT, SIDES

from limner.models.clip import CLIP, CLIPConfig
from limner.models.cross_encoder import CrossEncoder, CrossEncoderConfig
from limner.models.language_relevance import LanguageRelevance, LanguageRelevanceConfig
from limner.models.late_interaction import LateInteraction, LateInteractionConfig
from limner.models.relevance import RelevanceModel
from limner.objectives.ranking import RankingObjective, RankingObjectiveConfig, candidates, parts_of
from limner.objectives.ranking_losses import FROM_NOISE, LOSSES, Lists, LossName
from limner.types import RankingBatch, Side

QUERIES, MINED, ITEMS = 6, 2, 40


def build(kind: str) -> RelevanceModel:
    torch.manual_seed(0)
    if kind == "clip":
        return CLIP(CLIPConfig(**SIDES, embed_dim=16))
    if kind == "late":
        return LateInteraction(LateInteractionConfig(**SIDES, embed_dim=16))
    if kind == "cross":
        return CrossEncoder(CrossEncoderConfig(**SIDES, joint=JOINT))
    return LanguageRelevance(LanguageRelevanceConfig(**SIDES))


def side(size: int, kind: str, first: int) -> Side:
    generator = torch.Generator().manual_seed(size)
    numbers = torch.arange(first, first + size)
    if kind == "text":
        return Side(concepts=numbers, texts=numbers, tokens=torch.randint(3, 300, (size, 12), generator=generator))
    return Side(concepts=numbers, texts=numbers, images=torch.rand(size, 3, 32, 32, generator=generator))


def batch(query: str = "text", document: str = "picture", num_mined: int = MINED) -> RankingBatch:
    queries = side(QUERIES, query, 0)
    documents = side(QUERIES * (1 + num_mined), document, 0)
    return RankingBatch(queries=queries, documents=documents, num_mined=num_mined, num_items=ITEMS)


def lists_of(objective: RankingObjective, batch: RankingBatch) -> Lists:
    sides = (parts_of(objective.model, side) for side in (batch.queries, batch.documents))
    return objective._lists(batch, *sides)


def test_the_table_names_every_loss_that_a_config_may_name() -> None:
    assert set(LOSSES) == set(get_args(LossName)) and set(LOSSES) >= FROM_NOISE


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("kind", ["clip", "late", "cross", "language"])
def test_every_loss_teaches_every_model(kind: str, loss: LossName) -> None:
    """A few steps on one batch bring the loss down; the scores of own documents rise above the others."""
    objective = RankingObjective(build(kind), RankingObjectiveConfig(loss=loss))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    fixed = batch(num_mined=0 if loss in FROM_NOISE else MINED)
    values = []
    for step in range(8):
        optimizer.zero_grad()
        output = objective(fixed, step)
        output.loss.backward()
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in objective.parameters())
        optimizer.step()
        values.append(output.loss.item())
    assert math.isfinite(values[-1]) and (min(values) < values[0] or values[0] == 0)
    assert not any(value.requires_grad for value in output.metrics.values())


@pytest.mark.parametrize("query", ["text", "picture"])
@pytest.mark.parametrize("document", ["text", "picture"])
@pytest.mark.parametrize("kind", ["clip", "late", "cross", "language"])
def test_queries_and_documents_are_texts_or_pictures(kind: str, query: str, document: str) -> None:
    objective = RankingObjective(build(kind), RankingObjectiveConfig())
    assert objective(batch(query, document), 0).loss > 0


def test_a_list_holds_its_own_document_then_what_was_mined_then_the_next_ones() -> None:
    assert candidates(3, 2, 5).tolist() == [[0, 3, 4, 1, 2], [1, 5, 6, 2, 0], [2, 7, 8, 0, 1]]
    assert candidates(3, 0, 2).tolist() == [[0, 1], [1, 2], [2, 0]]


def test_short_lists_are_columns_of_the_long_ones() -> None:
    objective = RankingObjective(build("clip").eval(), RankingObjectiveConfig(num_candidates=4))
    whole = RankingObjective(objective.model, RankingObjectiveConfig())
    short, long = lists_of(objective, batch()), lists_of(whole, batch())
    columns = candidates(QUERIES, MINED, 4)
    torch.testing.assert_close(short.scores, long.scores.gather(1, columns))
    assert torch.equal(short.relevance, long.relevance.gather(1, columns))
    assert bool(short.relevance[:, 0].all()) and long.relevance.sum() == QUERIES


def test_what_shares_a_concept_or_a_text_is_no_negative() -> None:
    fixed = batch()
    documents = replace(
        fixed.documents, concepts=torch.cat([torch.zeros(QUERIES).long(), fixed.documents.concepts[6:]])
    )
    lists = lists_of(RankingObjective(build("clip"), RankingObjectiveConfig()), replace(fixed, documents=documents))
    assert bool(lists.relevance[0, :QUERIES].all()) and lists.relevance[1].nonzero().flatten().tolist() == [1]


def test_the_guard_leaves_out_negatives_above_the_positive() -> None:
    objective = RankingObjective(build("clip").eval(), RankingObjectiveConfig(guard_margin=0.0))
    lists = lists_of(objective, batch())
    own = lists.scores.gather(1, lists.own[:, None])
    assert torch.equal(lists.mask, lists.relevance | (lists.scores <= own))
    assert not bool(lists.mask.all())


def test_nce_is_the_sum_over_a_loop_of_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    lists = Lists(
        scores=scores,
        distances=-scores,
        relevance=torch.eye(4, dtype=torch.bool),
        mask=torch.ones(4, 4, dtype=torch.bool),
        own=torch.tensor([2, 0, 1, 3]),
        num_items=50,
    )
    total = 0.0
    for row, own in enumerate([2, 0, 1, 3]):
        for column in range(4):
            odds = scores[row, column].item() - math.log(3 / 50)
            drawn = 3 / 50 if column == own else 1  # how often the noise holds this document
            total += drawn * math.log1p(math.exp(odds))
            total += math.log1p(math.exp(-odds)) if column == own else 0
    assert LOSSES["nce"](lists).item() == pytest.approx(total / 4, rel=1e-6)


def test_nce_normalises_itself_over_concepts_of_any_size() -> None:
    """Free scores of five concepts, of one to six documents: at the optimum e^s is 1 / m for each of m answers."""
    concepts = torch.repeat_interleave(torch.arange(5), torch.tensor([1, 2, 3, 6, 48]))
    table = torch.zeros(5, 60, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=400, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = table[concepts]
        relevance = concepts[:, None] == concepts[None, :]
        mask = torch.ones_like(relevance)
        own = torch.arange(60)
        value = LOSSES["nce"](
            Lists(scores=scores, distances=-scores, relevance=relevance, mask=mask, own=own, num_items=60)
        )
        value.backward()
        return value

    optimizer.step(loss)
    found = table.detach().exp()
    assert found.sum(dim=1).tolist() == pytest.approx([1.0] * 5, abs=0.02)
    for concept, size in enumerate([1, 2, 3, 6]):
        answers = found[concept][concepts == concept] * size
        assert answers.tolist() == pytest.approx([1.0] * size, abs=0.02)


def test_impossible_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        RankingObjectiveConfig(num_candidates=1)
    with pytest.raises(ValueError, match="num_candidates at 0"):
        RankingObjectiveConfig(loss="symmetric_info_nce", num_candidates=4)


def test_a_language_model_learns_to_say_the_query_too() -> None:
    objective = RankingObjective(build("language"), RankingObjectiveConfig(language_weight=1.0))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    found = []
    for step in range(20):
        optimizer.zero_grad()
        output = objective(batch(), step)
        output.loss.backward()
        optimizer.step()
        found.append(output.metrics["word_surprise"].item())
    assert found[-1] < 0.8 * found[0]
    assert "word_surprise" not in objective(batch("picture"), 0).metrics
