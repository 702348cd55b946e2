"""What the derivation of Gumbel-max promises, and what its relaxation keeps of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.distributions import RelaxedOneHotCategorical

from limner.nn.gumbel import gumbel_max, gumbel_noise, gumbel_softmax

DRAWS = 40_000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_logits(seed: int = 0, categories: int = 6) -> Tensor:
    return 2 * torch.randn(categories, generator=seeded(seed), dtype=torch.float64)


def test_the_noise_has_the_law_of_gumbel() -> None:
    noise = gumbel_noise(torch.empty(DRAWS, dtype=torch.float64), seeded(1))
    assert stats.kstest(noise.numpy(), stats.gumbel_r.cdf).pvalue > 1e-3
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.03)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_largest_noisy_logit_has_the_law_of_softmax(seed: int) -> None:
    logits = some_logits(seed)
    drawn = gumbel_max(logits.expand(DRAWS, -1), seeded(seed + 10))
    observed = torch.bincount(drawn, minlength=len(logits)).numpy()
    expected = (logits.softmax(dim=0) * DRAWS).numpy()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    # The test sees a wrong law: that of the logits at another temperature.
    assert stats.chisquare(observed, ((logits * 1.1).softmax(dim=0) * DRAWS).numpy()).pvalue < 1e-3


def test_the_largest_relaxed_share_has_the_same_law_at_any_temperature() -> None:
    logits = some_logits()
    expected = (logits.softmax(dim=0) * DRAWS).numpy()
    for temperature in (5.0, 0.2):
        largest = gumbel_softmax(logits.expand(DRAWS, -1), temperature, generator=seeded(3)).argmax(dim=1)
        assert stats.chisquare(torch.bincount(largest, minlength=6).numpy(), expected).pvalue > 1e-3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_relaxation_tends_to_the_one_hot_sample_as_the_temperature_falls(seed: int) -> None:
    logits = torch.randn(5, 7, generator=seeded(seed), dtype=torch.float64)
    noisy = (logits + gumbel_noise(logits, seeded(seed))).sort(dim=1, descending=True).values
    gap = float((noisy[:, 0] - noisy[:, 1]).min())
    sample = torch.nn.functional.one_hot(gumbel_max(logits, seeded(seed)), 7).double()
    distances = [
        (gumbel_softmax(logits, temperature, generator=seeded(seed)) - sample).abs().max().item()
        for temperature in (1.0, 0.3, 0.1, gap / 50)
    ]
    assert all(after <= before for before, after in zip(distances, distances[1:], strict=False))
    assert distances[-1] < 1e-12


def test_at_a_high_temperature_all_categories_share_alike() -> None:
    relaxed = gumbel_softmax(torch.randn(4, 5), 1e6)
    torch.testing.assert_close(relaxed, torch.full((4, 5), 0.2), atol=1e-4, rtol=0)


def test_the_relaxed_sample_has_the_law_that_torch_draws_from() -> None:
    logits, temperature = some_logits(4, 3), 0.7
    ours = gumbel_softmax(logits.expand(DRAWS, -1), temperature, generator=seeded(5))
    torch.manual_seed(6)
    theirs = RelaxedOneHotCategorical(torch.tensor(temperature), logits=logits).sample((DRAWS,))
    for category in range(3):
        assert stats.ks_2samp(ours[:, category].numpy(), theirs[:, category].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("hard", [False, True])
def test_gradients_are_those_of_the_softmax_of_noisy_logits(hard: bool) -> None:
    logits = torch.randn(4, 6, dtype=torch.float64).requires_grad_()
    weights = torch.randn(4, 6, dtype=torch.float64)
    (gumbel_softmax(logits, 0.5, hard=hard, generator=seeded(7)) * weights).sum().backward()
    found = logits.grad
    noise = gumbel_noise(logits.detach(), seeded(7))
    again = logits.detach().clone().requires_grad_()
    (((again + noise) / 0.5).softmax(dim=-1) * weights).sum().backward()
    assert found is not None and float(found.abs().min()) > 0
    torch.testing.assert_close(found, again.grad)


def test_gradcheck_with_the_noise_held() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gumbel_softmax(x, 0.8, generator=seeded(8)), (logits,))


def test_a_hard_sample_is_one_hot_and_is_the_gumbel_max_sample() -> None:
    logits = torch.randn(50, 9, dtype=torch.float64)
    hard = gumbel_softmax(logits, 1.3, hard=True, generator=seeded(9))
    torch.testing.assert_close(hard.sum(dim=1), torch.ones(50, dtype=torch.float64))
    assert torch.equal(hard.argmax(dim=1), gumbel_max(logits, seeded(9)))
    assert int((hard > 0.5).sum()) == 50 and float(hard.abs().sort(dim=1).values[:, :-1].max()) < 1e-12


def test_hopeless_and_certain_categories_give_finite_numbers() -> None:
    logits = torch.tensor([[0.0, -1e4, -float("inf")], [1e4, 0.0, 0.0]])
    assert torch.equal(gumbel_max(logits), torch.tensor([0, 0]))
    assert bool(gumbel_softmax(logits, 1 / 16).isfinite().all())


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        gumbel_softmax(torch.zeros(1, 2), 0.0)
