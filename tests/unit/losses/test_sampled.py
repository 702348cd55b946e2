import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.losses.contrastive import info_nce
from limner.losses.noise import draw, in_batch, log_probability
from limner.losses.sampled import (
    accidental_hits,
    in_batch_softmax,
    log_q_softmax,
    negative_sampling,
    noise_contrastive,
    sampled_softmax,
)

LOSSES: dict[str, Callable] = {
    "sampled_softmax": lambda s, n, p, q, hits: sampled_softmax(s, n, q, hits),
    "weighted": lambda s, n, p, q, hits: sampled_softmax(s, n, q, hits, positive_probability=torch.full_like(s, 0.3)),
    "log_q_softmax": log_q_softmax,
    "noise_contrastive": noise_contrastive,
    "noise_contrastive_with_share": lambda s, n, p, q, hits: noise_contrastive(s, n, p, q, hits, share=p.exp()),
    "negative_sampling": lambda s, n, p, q, hits: negative_sampling(s, n, hits),
    "negative_sampling_with_share": lambda s, n, p, q, hits: negative_sampling(s, n, hits, share=p.exp()),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)

# Eight tickets stand for four items: drawing a ticket evenly draws an item with probability 4/8, 2/8, 1/8, 1/8.
TICKETS = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])
LOG_Q = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64).log() - math.log(8)


def case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    positives = torch.randn(3, generator=generator, dtype=torch.float64)
    negatives = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    positive_log_q = torch.randn(3, generator=generator, dtype=torch.float64) - 3
    log_q = torch.randn(3, 4, generator=generator, dtype=torch.float64) - 3
    return positives, negatives, positive_log_q, log_q, torch.rand(3, 4, generator=generator) < 0.3


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("seed", range(4))
def test_each_equals_a_double_loop(seed: int) -> None:
    positives, negatives, positive_log_q, log_q, hits = case(seed)
    share = torch.tensor([0.0, 0.3, 2.0], dtype=torch.float64)
    totals = dict.fromkeys(["sampled", "log_q", "nce", "neg", "nce_share", "neg_share"], 0.0)
    for i in range(3):
        s, shift = positives[i].item(), (positive_log_q[i] + math.log(4)).item()
        drawn = [(negatives[i, d].item(), (log_q[i, d] + math.log(4)).item()) for d in range(4) if not hits[i, d]]
        others = sum(math.exp(each) / math.exp(correction) for each, correction in drawn)
        totals["sampled"] += -s + math.log(math.exp(s) + others)
        totals["log_q"] += -(s - shift) + math.log(math.exp(s - shift) + others)
        totals["nce"] -= math.log(sigmoid(s - shift)) + sum(math.log(sigmoid(c - each)) for each, c in drawn)
        totals["neg"] -= math.log(sigmoid(s)) + sum(math.log(sigmoid(-each)) for each, _ in drawn)
        totals["nce_share"] -= share[i].item() * math.log(sigmoid(shift - s))
        totals["neg_share"] -= share[i].item() * math.log(sigmoid(-s))
    totals["nce_share"] += totals["nce"]
    totals["neg_share"] += totals["neg"]
    values = {
        "sampled": sampled_softmax(positives, negatives, log_q, hits),
        "log_q": log_q_softmax(positives, negatives, positive_log_q, log_q, hits),
        "nce": noise_contrastive(positives, negatives, positive_log_q, log_q, hits),
        "neg": negative_sampling(positives, negatives, hits),
        "nce_share": noise_contrastive(positives, negatives, positive_log_q, log_q, hits, share=share),
        "neg_share": negative_sampling(positives, negatives, hits, share=share),
    }
    for name, value in values.items():
        assert value.item() == pytest.approx(totals[name] / 3, rel=1e-9)


def test_every_item_drawn_once_is_the_cross_entropy_of_torch() -> None:
    scores = torch.randn(5, 7, dtype=torch.float64)
    target = torch.tensor([3, 0, 6, 2, 2])
    everything = torch.arange(7)[None, :]
    value = sampled_softmax(
        scores.gather(1, target[:, None])[:, 0],
        scores,
        torch.full((1, 7), -math.log(7), dtype=torch.float64),
        accidental_hits(target[:, None], everything),
    )
    torch.testing.assert_close(value, functional.cross_entropy(scores, target))


def gradient(loss: Callable[[Tensor, Tensor, Tensor], Tensor], target: int, num_samples: int) -> Tensor:
    """Return the exact expectation of the gradient by four scores: its mean over every sample that can be drawn."""
    scores = torch.tensor([0.4, -0.8, 1.2, 0.1], dtype=torch.float64, requires_grad=True)
    tickets = torch.tensor(list(itertools.product(range(8), repeat=num_samples)))
    drawn = TICKETS[tickets]
    hits = accidental_hits(torch.full((len(drawn), 1), target), drawn)
    loss(scores, drawn, hits).backward()
    assert scores.grad is not None
    return scores.grad


def true_gradient(target: int) -> Tensor:
    scores = torch.tensor([[0.4, -0.8, 1.2, 0.1]], dtype=torch.float64, requires_grad=True)
    functional.cross_entropy(scores, torch.tensor([target])).backward()
    assert scores.grad is not None
    return scores.grad[0]


def relative_error(loss: Callable, num_samples: int) -> float:
    errors = []
    for target in range(4):
        exact = true_gradient(target)
        found = gradient(lambda *sample, t=target: loss(t, *sample), target, num_samples)
        errors.append(((found - exact).norm() / exact.norm()).item())
    return sum(errors) / 4


def corrected(target: int, scores: Tensor, drawn: Tensor, hits: Tensor) -> Tensor:
    return sampled_softmax(scores[target].expand(len(drawn)), scores[drawn], LOG_Q[drawn], hits)


def corrected_positive(target: int, scores: Tensor, drawn: Tensor, hits: Tensor) -> Tensor:
    log_q = LOG_Q[target].expand(len(drawn))
    return log_q_softmax(scores[target].expand(len(drawn)), scores[drawn], log_q, LOG_Q[drawn], hits)


def uncorrected(target: int, scores: Tensor, drawn: Tensor, hits: Tensor) -> Tensor:
    level = torch.full((1, drawn.shape[1]), -math.log(4), dtype=torch.float64)
    return sampled_softmax(scores[target].expand(len(drawn)), scores[drawn], level, hits)


def exactly_weighted(target: int, scores: Tensor, drawn: Tensor, hits: Tensor) -> Tensor:
    return sampled_softmax(
        scores[target].expand(len(drawn)),
        scores[drawn],
        LOG_Q[drawn],
        hits,
        positive_probability=scores.softmax(dim=0)[target].expand(len(drawn)),
    )


def test_the_error_of_the_expected_gradient_falls_with_the_samples_if_the_noise_is_corrected() -> None:
    errors = {
        loss: [relative_error(loss, num_samples) for num_samples in (1, 2, 3, 4, 5)]
        for loss in (corrected, corrected_positive, exactly_weighted, uncorrected)
    }
    for loss in (corrected, corrected_positive, exactly_weighted):
        assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(errors[loss]))
    assert errors[corrected][-1] < 0.2 < 0.35 < errors[uncorrected][-1]
    assert all(ours < 0.8 * logq for ours, logq in zip(errors[corrected], errors[corrected_positive], strict=True))


def test_the_error_falls_over_fifty_items_of_zipfian_noise_if_it_is_corrected() -> None:
    log_q = (1 / torch.arange(1, 51, dtype=torch.float64)).log().log_softmax(dim=0)[None]
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    (exact,) = torch.autograd.grad(functional.cross_entropy(scores, torch.tensor(30)), scores)
    errors = []
    for num_samples in (5, 20, 100):
        ids, drawn_log_q = draw(log_q, num_samples, torch.Generator().manual_seed(1), num_queries=2000)
        positives, hits = scores[30].expand(2000), accidental_hits(torch.full((2000, 1), 30), ids)
        for table in (drawn_log_q, torch.full((1, num_samples), -math.log(50), dtype=torch.float64)):
            (found,) = torch.autograd.grad(sampled_softmax(positives, scores[ids], table, hits), scores)
            errors.append(((found - exact).norm() / exact.norm()).item())
    corrected_errors, uncorrected_errors = errors[::2], errors[1::2]
    assert corrected_errors[2] < 0.5 * corrected_errors[1] < 0.5 * corrected_errors[0]
    assert corrected_errors[2] < 0.5 * uncorrected_errors[2]
    assert uncorrected_errors[2] > 0.6 * uncorrected_errors[0]


def test_the_partition_function_is_estimated_without_bias() -> None:
    scores = torch.tensor([0.4, -0.8, 1.2, 0.1], dtype=torch.float64)
    drawn = TICKETS[torch.tensor(list(itertools.product(range(8), repeat=3)))]
    hits = accidental_hits(torch.full((len(drawn), 1), 1), drawn)
    partitions = [
        math.expm1(
            sampled_softmax(torch.zeros(1, dtype=torch.float64), scores[d][None], LOG_Q[d][None], h[None]).item()
        )
        for d, h in zip(drawn, hits, strict=True)
    ]
    assert sum(partitions) / len(partitions) == pytest.approx(scores[[0, 2, 3]].exp().sum().item())


def test_the_weight_by_the_same_sample_is_the_gradient_of_the_plain_form() -> None:
    positives, negatives, _, log_q, hits = case(1)
    inputs = [each.requires_grad_() for each in (positives, negatives)]
    others = (negatives - log_q - math.log(4)).masked_fill(hits, float("-inf")).logsumexp(dim=1)
    probability = (positives - others).sigmoid()
    plain = torch.autograd.grad(sampled_softmax(positives, negatives, log_q, hits), inputs)
    weighted = sampled_softmax(positives, negatives, log_q, hits, positive_probability=probability)
    torch.testing.assert_close(torch.autograd.grad(weighted, inputs), plain)


def optimum(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Return the scores of four items that are best in expectation, with eight samples of the noise LOG_Q.

    Sixteen positives stand for the distribution 7/16, 1/16, 5/16, 3/16, and the eight tickets, drawn once each, for
    the noise.
    """
    shown = torch.tensor([0] * 7 + [1] + [2] * 5 + [3] * 3)
    scores = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(scores[shown], scores[TICKETS].expand(16, 8), shown)
        value.backward()
        return value

    optimizer.step(closure)
    return scores.detach()


LOG_P = torch.tensor([7.0, 1.0, 5.0, 3.0], dtype=torch.float64).log() - math.log(16)


def test_noise_contrastive_recovers_the_log_probabilities_and_normalises_itself() -> None:
    scores = optimum(lambda s, n, shown: noise_contrastive(s, n, LOG_Q[shown], LOG_Q[TICKETS][None]))
    torch.testing.assert_close(scores, LOG_P, rtol=0, atol=1e-4)
    assert scores.exp().sum().item() == pytest.approx(1, abs=1e-3)


def test_negative_sampling_recovers_the_log_probabilities_less_those_of_the_noise() -> None:
    scores = optimum(lambda s, n, shown: negative_sampling(s, n))
    torch.testing.assert_close(scores, LOG_P - LOG_Q - math.log(8), rtol=0, atol=1e-4)


def test_the_share_of_a_positive_that_the_noise_cannot_draw_mends_its_score() -> None:
    def own(shown: Tensor) -> Tensor:
        return TICKETS[None] == shown[:, None]

    def share(shown: Tensor) -> Tensor:
        return 8 * LOG_Q[shown].exp()

    nce = optimum(
        lambda s, n, shown: noise_contrastive(s, n, LOG_Q[shown], LOG_Q[TICKETS][None], own(shown), share=share(shown))
    )
    torch.testing.assert_close(nce, LOG_P, rtol=0, atol=1e-4)
    neg = optimum(lambda s, n, shown: negative_sampling(s, n, own(shown), share=share(shown)))
    torch.testing.assert_close(neg, LOG_P - LOG_Q - math.log(8), rtol=0, atol=1e-4)
    without = optimum(lambda s, n, shown: noise_contrastive(s, n, LOG_Q[shown], LOG_Q[TICKETS][None], own(shown)))
    assert without.exp().sum() > 1.2


def test_an_accidental_hit_is_masked_and_has_no_gradient() -> None:
    hits = accidental_hits(torch.tensor([[4], [7]]), torch.tensor([[7, 4, 2]]))
    assert hits.tolist() == [[False, True, False], [True, False, False]]
    positives, negatives = torch.zeros(2), torch.zeros(2, 3)
    level = torch.full((1, 3), -2.0)
    for loss in LOSSES.values():
        drawn = negatives.clone().requires_grad_()
        loss(positives, drawn, torch.full((2,), -2.0), level.expand(2, 3), hits).backward()
        assert (drawn.grad[hits] == 0).all() and (drawn.grad[~hits] > 0).all()


def test_several_positives_are_all_hits() -> None:
    assert accidental_hits(torch.tensor([[4, 2]]), torch.tensor([[7, 4, 2]])).tolist() == [[False, True, True]]


@every_loss
@pytest.mark.parametrize("seed", range(2))
def test_the_gradient_is_that_of_finite_differences(loss: Callable, seed: int) -> None:
    positives, negatives, positive_log_q, log_q, hits = case(seed)
    assert torch.autograd.gradcheck(
        lambda s, n: loss(s, n, positive_log_q, log_q, hits), (positives.requires_grad_(), negatives.requires_grad_())
    )


@every_loss
@pytest.mark.parametrize("gap", [1e4, -1e4])
@pytest.mark.parametrize("hit", [True, False])
def test_value_and_gradient_stay_finite_at_wide_gaps(loss: Callable, gap: float, hit: bool) -> None:
    positives = torch.tensor([gap, 0.0], requires_grad=True)
    negatives = torch.tensor([[0.0, -gap], [gap, 0.0]], requires_grad=True)
    hits = torch.full((2, 2), hit)
    value = loss(positives, negatives, torch.full((2,), -9.0), torch.full((2, 2), -9.0), hits)
    value.backward()
    assert value.isfinite() and positives.grad.isfinite().all() and negatives.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_query_and_no_sample_are_defined(loss: Callable, shape: tuple[int, int]) -> None:
    positives, negatives = torch.zeros(shape[0], requires_grad=True), torch.zeros(shape)
    value = loss(positives, negatives, torch.zeros(shape[0]), torch.zeros(shape), None)
    value.backward()
    assert value.isfinite() and positives.grad is not None and positives.grad.isfinite().all()


def test_a_batch_of_even_noise_is_info_nce_with_as_many_negatives_as_the_collection_has() -> None:
    scores = torch.randn(5, 5, dtype=torch.float64)
    relevance = torch.eye(5, dtype=torch.bool)
    level = torch.full((5,), -math.log(100), dtype=torch.float64)
    expected = info_nce(torch.where(relevance, scores, scores + math.log(100 / 5)), relevance)
    torch.testing.assert_close(in_batch_softmax(scores, relevance, level), expected)


def test_in_batch_a_frequent_item_is_not_pushed_more_than_a_rare_one() -> None:
    ids = torch.tensor([0, 1, 1, 1, 2])
    log_q = log_probability(in_batch(ids, 4), ids[None])[0]
    scores = torch.zeros(5, 5, requires_grad=True)
    in_batch_softmax(scores, ids[:, None] == ids, log_q).backward()
    pushes = scores.grad[0]
    assert pushes[1:4].sum().item() == pytest.approx(pushes[4].item())


def test_no_batch_is_defined() -> None:
    scores = torch.zeros(0, 0, requires_grad=True)
    value = in_batch_softmax(scores, torch.zeros(0, 0, dtype=torch.bool), torch.zeros(0))
    value.backward()
    assert value == 0
