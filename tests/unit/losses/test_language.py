import math

import pytest
import torch
from torch.nn import functional

from limner.losses.language import token_cross_entropy, token_log_likelihoods


def some() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 7, generator=generator, dtype=torch.float64) * 3
    tokens = torch.randint(0, 7, (3, 4), generator=generator)
    return logits, tokens, torch.rand(3, 4, generator=generator) < 0.6


def test_likelihoods_equal_a_loop() -> None:
    logits, tokens, _ = some()
    found = token_log_likelihoods(logits, tokens)
    for row in range(3):
        for place in range(4):
            total = sum(math.exp(value) for value in logits[row, place].tolist())
            expected = logits[row, place, tokens[row, place]].item() - math.log(total)
            assert found[row, place].item() == pytest.approx(expected, abs=1e-12)


def test_cross_entropy_is_that_of_torch_over_the_counted_tokens() -> None:
    logits, tokens, counted = some()
    torch.testing.assert_close(token_cross_entropy(logits, tokens), functional.cross_entropy(logits.mT, tokens))
    expected = functional.cross_entropy(logits.mT, tokens.masked_fill(~counted, -100), ignore_index=-100)
    torch.testing.assert_close(token_cross_entropy(logits[counted], tokens[counted]), expected)


def test_the_gradient_is_right_and_is_zero_where_nothing_is_counted() -> None:
    logits, tokens, counted = some()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda each: token_cross_entropy(each[counted], tokens[counted]), logits)
    token_cross_entropy(logits[counted], tokens[counted]).backward()
    assert not logits.grad[~counted].any() and logits.grad[counted].abs().sum(dim=-1).gt(0).all()


def test_of_nothing_the_loss_is_zero() -> None:
    logits, tokens, counted = some()
    logits.requires_grad_()
    loss = token_cross_entropy(logits[counted & False], tokens[counted & False])
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_wide_gaps_stay_finite() -> None:
    logits = torch.tensor([[[1e4, -1e4, 0.0]]])
    assert token_cross_entropy(logits, torch.tensor([[0]])).item() == 0
    assert token_cross_entropy(logits, torch.tensor([[1]])).item() == pytest.approx(2e4)
