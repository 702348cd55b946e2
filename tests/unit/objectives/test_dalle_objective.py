import math
from dataclasses import replace

import pytest
import torch
from tests.unit.models.test_dalle import KINDS, SMALL, dalle, some

from limner.models.dalle import DALLEFeatures
from limner.objectives.dalle import DALLEObjective, DALLEObjectiveConfig
from limner.types import PADDING_TOKEN, CodesBatch

NEVER = DALLEObjectiveConfig(drop_rate=0.0)


def batch() -> CodesBatch:
    tokens, codes = some()
    return CodesBatch(tokens=tokens, codes=codes)


def loss(config: DALLEObjectiveConfig, of: CodesBatch) -> tuple[float, dict[str, float]]:
    torch.manual_seed(0)
    output = DALLEObjective(dalle(), config)(of, 0)
    return output.loss.item(), {name: value.item() for name, value in output.metrics.items()}


def test_the_parts_weigh_an_eighth_and_seven() -> None:
    whole, metrics = loss(NEVER, batch())
    assert whole == pytest.approx(metrics["text_nats"] / 8 + metrics["picture_nats"] * 7 / 8, rel=1e-6)
    weighed, _ = loss(replace(NEVER, text_weight=2.0, picture_weight=0.5), batch())
    assert weighed == pytest.approx(2 * metrics["text_nats"] + metrics["picture_nats"] / 2, rel=1e-6)


def test_the_loss_equals_a_loop_over_tokens_and_codes() -> None:
    of, model = batch(), dalle()
    logits = model(of.tokens, of.codes)
    said = [
        -logits.text[row, place - 1].log_softmax(0)[of.tokens[row, place]].item()
        for row in range(3)
        for place in range(1, 6)
        if of.tokens[row, place] != PADDING_TOKEN
    ]
    drawn = [
        -logits.picture[row, place].log_softmax(0)[of.codes[row, place]].item()
        for row in range(3)
        for place in range(16)
    ]
    _, metrics = loss(NEVER, of)
    assert len(said) == 12
    assert metrics["text_nats"] == pytest.approx(sum(said) / len(said), rel=1e-5)
    assert metrics["picture_nats"] == pytest.approx(sum(drawn) / len(drawn), rel=1e-5)


def test_a_picture_whose_text_is_dropped_is_said_without_any() -> None:
    of = batch()
    _, metrics = loss(DALLEObjectiveConfig(drop_rate=1.0), of)
    assert metrics["text_nats"] == 0
    alone = CodesBatch(tokens=torch.full_like(of.tokens, PADDING_TOKEN), codes=of.codes)
    assert metrics["picture_nats"] == pytest.approx(loss(NEVER, alone)[1]["picture_nats"], rel=1e-6)


def test_texts_are_dropped_at_the_rate_and_anew_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    of, seen = batch(), []
    model = dalle()
    features = model.features

    def seeing(tokens: torch.Tensor, codes: torch.Tensor, embeddings: None) -> DALLEFeatures:
        seen.append((tokens == PADDING_TOKEN).all(dim=1))
        return features(tokens, codes)

    monkeypatch.setattr(model, "features", seeing)
    objective = DALLEObjective(model, DALLEObjectiveConfig(drop_rate=0.25))
    torch.manual_seed(0)
    for step in range(400):
        objective(of, step)
    rate = torch.cat(seen).float().mean().item()
    assert abs(rate - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1200)


def test_what_a_picture_shows_stands_in_for_what_its_text_means_at_the_rate() -> None:
    of, seen = batch(), []
    model = dalle(KINDS["with a meaning"])
    of = replace(of, embeddings=torch.full((3, 12), 7.0))
    features = model.features

    def seeing(tokens: torch.Tensor, codes: torch.Tensor, embeddings: torch.Tensor | None) -> DALLEFeatures:
        assert embeddings is not None and model.meaning is not None
        is_picture = (embeddings == 7).all(dim=1)
        torch.testing.assert_close(embeddings[~is_picture], model.meaning.embed(of.tokens)[~is_picture])
        seen.append(is_picture)
        return features(tokens, codes, embeddings)

    model.features = seeing  # type: ignore[method-assign]
    objective = DALLEObjective(model, replace(NEVER, picture_rate=0.25))
    torch.manual_seed(0)
    losses = {objective(of, step).loss.item() for step in range(400)}
    rate = torch.cat(seen).float().mean().item()
    assert abs(rate - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1200) and len(losses) > 1
    torch.testing.assert_close(
        DALLEObjective(model, replace(NEVER, picture_rate=0.0))(of, 0).loss,
        DALLEObjective(dalle(KINDS["with a meaning"]), NEVER)(replace(of, embeddings=None), 0).loss,
    )


def test_the_batch_is_left_as_it_is() -> None:
    of = batch()
    kept = of.tokens.clone()
    loss(DALLEObjectiveConfig(drop_rate=0.9), of)
    assert torch.equal(of.tokens, kept)


def test_it_learns_two_pictures_by_heart() -> None:
    torch.manual_seed(0)
    model = type(dalle())(SMALL)
    objective = DALLEObjective(model, NEVER)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    of = batch()
    for _ in range(60):
        optimizer.zero_grad()
        output = objective(of, 0)
        output.loss.backward()
        optimizer.step()
    assert output.metrics["accuracy"].item() == 1 and output.loss.item() < 0.5
