import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limner.config import from_dict
from limner.errors import UsageError
from limner.generation.sampling import Sampling, choose, guided, narrowed, noise_of

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 1.0], [0.0, 0.0, 3.0, -2.0]])


def kept(how: Sampling, logits: torch.Tensor = LOGITS) -> list[list[int]]:
    return [row.isfinite().nonzero().flatten().tolist() for row in narrowed(logits, how)]


def test_top_k_keeps_the_likeliest() -> None:
    assert kept(Sampling(top_k=2)) == [[0, 3], [0, 1, 2]], "choices as likely as the last one kept stay"
    assert kept(Sampling(top_k=9)) == kept(Sampling()) == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_top_p_keeps_the_fewest_that_hold_the_share(top_p: float) -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0)) * 2
    for row, found in zip(logits, kept(Sampling(top_p=top_p), logits), strict=True):
        chosen: list[int] = []
        for choice in row.argsort(descending=True).tolist():
            if sum(row.softmax(0)[chosen].tolist()) < top_p:
                chosen.append(choice)
        assert found == sorted(chosen)


def test_temperature_comes_before_the_share() -> None:
    cold, hot = kept(Sampling(temperature=0.1, top_p=0.9)), kept(Sampling(temperature=10.0, top_p=0.9))
    assert cold == [[0], [2]] and hot == [[0, 1, 2, 3]] * 2
    torch.testing.assert_close(narrowed(LOGITS, Sampling(temperature=2.0)), LOGITS / 2)


def test_guidance_goes_from_alone_over_prompted_and_beyond() -> None:
    prompted, alone = LOGITS[:1], LOGITS[1:]
    assert torch.equal(guided(prompted, alone, 0.0), alone)
    torch.testing.assert_close(guided(prompted, alone, 1.0), prompted)
    torch.testing.assert_close(guided(prompted, alone, 3.0), 3 * prompted - 2 * alone)


def test_choices_follow_the_probabilities() -> None:
    """Chi-square at fixed seeds."""
    count = 20_000
    noise = noise_of([(7,)], count)[0]
    found = choose(LOGITS[:1].expand(count, -1), noise).bincount(minlength=4)
    expected = LOGITS[0].double().softmax(0) * count
    assert stats.chisquare(found.numpy(), expected.numpy()).pvalue > 0.01


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=12), st.floats(0, 1, exclude_max=True), st.data())
def test_what_is_left_out_is_never_chosen(values: list[float], number: float, data: st.DataObject) -> None:
    logits = torch.tensor([values])
    left_out = data.draw(st.sets(st.integers(0, len(values) - 1), max_size=len(values) - 1))
    logits[0, list(left_out)] = float("-inf")
    assert int(choose(logits, torch.tensor([number], dtype=torch.float64))) not in left_out


def test_numbers_depend_on_their_seed_alone() -> None:
    whole = noise_of([(1, 0), (1, 1), (2, 0)], 5)
    assert torch.equal(noise_of([(1, 1)], 5), whole[1:2]) and len(whole.unique()) == 15
    assert bool((whole >= 0).all() and (whole < 1).all())


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": -1}, {"guidance": -1}])
def test_numbers_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        from_dict(Sampling, wrong)
