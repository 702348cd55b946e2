import math

import pytest
import torch

from limner.losses.noise import draw, even_batch, from_index, in_batch, log_probability, uniform, unigram


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tables() -> dict[str, torch.Tensor]:
    return {
        "uniform": uniform(5),
        "unigram": unigram(torch.tensor([16, 1, 0, 81, 1])),
        "in_batch": in_batch(torch.tensor([1, 1, 4]), 5),
        "from_index": from_index(torch.tensor([[4, 1], [0, 3]]), torch.tensor([[2.0, 1.0], [0.5, 0.5]]), 5),
    }


@pytest.mark.parametrize("name", tables())
def test_probabilities_sum_to_one(name: str) -> None:
    torch.testing.assert_close(tables()[name].exp().sum(dim=1), torch.ones(len(tables()[name]), dtype=torch.float64))


def test_a_batch_of_an_epoch_is_a_sample_of_uniform_noise_without_each_querys_own_item() -> None:
    own, log_q, share = even_batch(torch.zeros(3, 4), 5)
    of_all = uniform(5)[0].float()
    torch.testing.assert_close(own, of_all[:3])
    torch.testing.assert_close(log_q, of_all[:4])
    torch.testing.assert_close(share, 4 * of_all[:3].exp())


def test_unigram_weighs_counts_by_a_power() -> None:
    weights = [8.0, 1.0, 0.0, 27.0, 1.0]
    torch.testing.assert_close(tables()["unigram"].exp()[0], torch.tensor(weights, dtype=torch.float64) / sum(weights))


def test_in_batch_counts_what_stands_in_the_batch() -> None:
    expected = torch.tensor([[0, 2, 0, 0, 1]], dtype=torch.float64) / 3
    torch.testing.assert_close(tables()["in_batch"].exp(), expected)


def test_from_index_is_a_softmax_over_the_hits_and_a_share_of_everything() -> None:
    q = from_index(torch.tensor([[4, 1]]), torch.tensor([[2.0, 1.0]]), 5, temperature=0.5, uniform_rate=0.2).exp()[0]
    hit = math.exp(4) / (math.exp(4) + math.exp(2))
    expected = torch.tensor([0.04, 0.04 + 0.8 * (1 - hit), 0.04, 0.04, 0.04 + 0.8 * hit], dtype=torch.float64)
    torch.testing.assert_close(q, expected)


@pytest.mark.parametrize("name", tables())
def test_items_are_drawn_as_often_as_their_probability_says(name: str) -> None:
    table = tables()[name]
    ids, log_q = draw(table, 20_000, generator())
    for row in range(len(table)):
        shares = torch.bincount(ids[row], minlength=5).double() / 20_000
        torch.testing.assert_close(shares, table[row].exp(), rtol=0, atol=0.015)
    assert torch.equal(log_q, log_probability(table, ids)) and log_q.isfinite().all()


def test_queries_share_a_sample_or_draw_each_their_own() -> None:
    shared, _ = draw(uniform(1000), 6, generator())
    own, _ = draw(uniform(1000), 6, generator(), num_queries=3)
    assert shared.shape == (1, 6) and own.shape == (3, 6)
    assert not torch.equal(own[0], own[1])


def test_a_generator_draws_the_same_again() -> None:
    assert torch.equal(draw(uniform(9), 50, generator(4))[0], draw(uniform(9), 50, generator(4))[0])
    assert not torch.equal(draw(uniform(9), 50, generator(4))[0], draw(uniform(9), 50, generator(5))[0])


def test_a_table_of_other_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rows, but there are 3 queries"):
        draw(tables()["from_index"], 4, generator(), num_queries=3)


def test_counts_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no count is above 0"):
        unigram(torch.zeros(3))
