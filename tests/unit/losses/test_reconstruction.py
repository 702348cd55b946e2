import math

import pytest
import torch
from scipy import integrate
from torch import Tensor
from torch.distributions import Categorical, Laplace, Normal, SigmoidTransform, TransformedDistribution, kl_divergence

from limner.losses.reconstruction import gaussian, kl_to_uniform, laplace, logit_laplace, lower_bound


def some_pictures(seed: int = 0, batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 3, 4, 5)
    mapped = 0.1 + 0.8 * torch.rand(shape, generator=generator, dtype=torch.float64)
    mean = torch.randn(shape, generator=generator, dtype=torch.float64)
    return mapped, mean, 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)


def test_logit_laplace_is_the_laplace_law_through_a_sigmoid() -> None:
    mapped, mean, log_scale = some_pictures()
    law = TransformedDistribution(Laplace(mean, log_scale.exp()), [SigmoidTransform()])
    torch.testing.assert_close(logit_laplace(mapped, mean, log_scale), -law.log_prob(mapped).mean(dim=(1, 2, 3)))


def test_logit_laplace_equals_a_loop_over_the_formula() -> None:
    mapped, mean, log_scale = some_pictures(1)
    for row in range(3):
        total = 0.0
        for x, mu, s in zip(*(t[row].flatten().tolist() for t in (mapped, mean, log_scale)), strict=True):
            b = math.exp(s)
            total -= math.log(math.exp(-abs(math.log(x / (1 - x)) - mu) / b) / (2 * b * x * (1 - x)))
        assert logit_laplace(mapped, mean, log_scale)[row].item() == pytest.approx(total / 60, rel=1e-9)


@pytest.mark.parametrize(("mu", "b"), [(0.0, 0.5), (1.5, 0.2), (-2.0, 0.9)])
def test_logit_laplace_is_a_density(mu: float, b: float) -> None:
    def density(x: float) -> float:
        numbers = (torch.full((1, 3, 1, 1), value, dtype=torch.float64) for value in (x, mu, math.log(b)))
        return math.exp(-logit_laplace(*numbers).item())

    middle = 1 / (1 + math.exp(-mu))
    mass = sum(integrate.quad(density, *ends)[0] for ends in ((1e-12, middle), (middle, 1 - 1e-12)))
    assert mass == pytest.approx(1, abs=1e-3)


def test_squared_and_absolute_errors_are_the_laws_of_torch() -> None:
    images, pictures, _ = some_pictures(2)
    for loss, law in ((gaussian, Normal), (laplace, Laplace)):
        expected = -law(pictures, torch.tensor(0.3, dtype=torch.float64)).log_prob(images).mean(dim=(1, 2, 3))
        torch.testing.assert_close(loss(images, pictures, scale=0.3), expected)


def test_the_divergence_is_that_of_torch_and_of_a_loop() -> None:
    logits = 3 * torch.randn(2, 3, 4, 7, dtype=torch.float64)
    uniform = Categorical(logits=torch.zeros(7, dtype=torch.float64))
    expected = kl_divergence(Categorical(logits=logits), uniform).mean(dim=(1, 2))
    torch.testing.assert_close(kl_to_uniform(logits), expected)
    total = 0.0
    for place in logits[0].reshape(-1, 7):
        q = place.softmax(dim=0).tolist()
        total += sum(share * math.log(share * 7) for share in q)
    assert kl_to_uniform(logits)[0].item() == pytest.approx(total / 12, rel=1e-9)


def test_the_divergence_runs_from_nothing_to_the_log_of_the_number_of_codes() -> None:
    certain = torch.full((1, 2, 2, 512), -1e9)
    certain[..., 7] = 0.0
    assert kl_to_uniform(torch.ones(1, 2, 2, 512)).item() == pytest.approx(0, abs=1e-5)
    assert kl_to_uniform(certain).item() == pytest.approx(math.log(512), rel=1e-6)


def test_the_divergence_depends_on_neither_batch_nor_grid() -> None:
    """A library summed it over both, so that its weight meant another thing in each run."""
    place = torch.randn(16)
    values = [
        kl_to_uniform(place.expand(batch, side, side, 16)).mean().item() for batch in (1, 2, 8) for side in (1, 4, 32)
    ]
    assert values == pytest.approx([values[0]] * 9, rel=1e-5)


def test_likelihoods_depend_on_neither_batch_nor_size() -> None:
    for loss in (lambda x, y: gaussian(x, y, scale=0.1), lambda x, y: logit_laplace(x, y, torch.zeros_like(x))):
        values = [
            loss(torch.full((batch, 3, side, side), 0.3), torch.full((batch, 3, side, side), 0.5)).mean().item()
            for batch in (1, 6)
            for side in (2, 16)
        ]
        assert values == pytest.approx([values[0]] * 4, rel=1e-5)


def test_the_bound_adds_up_over_places_and_dimensions() -> None:
    """The sums that the derivation has, for one picture of 48 numbers and four codes."""
    nats, divergence = torch.tensor([-1.25]), torch.tensor([2.5])
    log_likelihood, all_divergence = 1.25 * 48, 2.5 * 4
    found = lower_bound(nats, divergence, num_places=4, num_dims=48)
    assert found.item() == pytest.approx((log_likelihood - all_divergence) / 48)


def test_the_bound_is_one_where_the_likelihood_can_be_added_up() -> None:
    """One place, two codes, one grey pixel: ln p(x) is below no bound, and is met by the true posterior."""
    x = torch.full((1, 3, 1, 1), 0.6, dtype=torch.float64)
    means = [torch.full((1, 3, 1, 1), value, dtype=torch.float64) for value in (0.2, 0.7)]
    each = torch.stack([-3 * gaussian(x, mean, scale=0.2) for mean in means])[:, 0]
    evidence = torch.logsumexp(each + math.log(0.5), dim=0).item()

    def bound(logits: Tensor) -> float:
        q = logits.softmax(dim=0)
        nats = -(q * each).sum()[None] / 3
        divergence = kl_to_uniform(logits.view(1, 1, 1, 2))
        return 3 * lower_bound(nats, divergence, num_places=1, num_dims=3).item()

    assert bound(each) == pytest.approx(evidence, rel=1e-9)
    assert bound(torch.zeros(2, dtype=torch.float64)) < evidence
    assert bound(torch.tensor([0.0, 30.0], dtype=torch.float64)) < evidence


def test_gradients() -> None:
    mapped, mean, log_scale = (tensor[:1, :, :1, :2].clone() for tensor in some_pictures(3))
    mean.requires_grad_()
    log_scale.requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: logit_laplace(mapped, m, s), (mean, log_scale))
    assert torch.autograd.gradcheck(lambda m: gaussian(mapped, m, scale=0.4), (mean,))
    assert torch.autograd.gradcheck(lambda m: laplace(mapped, m, scale=0.4), (mean,))
    logits = torch.randn(1, 2, 2, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(kl_to_uniform, (logits,))


def test_certain_codes_and_far_means_keep_finite_gradients() -> None:
    logits = torch.tensor([0.0, 1e4, -1e4]).expand(1, 2, 2, 3).clone().requires_grad_()
    kl_to_uniform(logits).sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
    mean = torch.full((1, 3, 2, 2), 40.0, requires_grad=True)
    logit_laplace(torch.full((1, 3, 2, 2), 0.1), mean, torch.full((1, 3, 2, 2), -4.0)).sum().backward()
    assert mean.grad is not None and bool(mean.grad.isfinite().all())
