from collections.abc import Callable

import pytest
import torch
from tests.unit.losses.largest_tensor import LargestTensor
from torch import Tensor
from torch.nn import functional

from limner.losses.chunked import chunked_info_nce, chunked_symmetric_info_nce
from limner.losses.contrastive import info_nce, symmetric_info_nce
from limner.losses.selection import same_concept_or_text

PAIRS = [(chunked_info_nce, info_nce), (chunked_symmetric_info_nce, symmetric_info_nce)]
every_pair = pytest.mark.parametrize(("chunked", "plain"), PAIRS, ids=["rows", "both"])


def case(batch: int, dim: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return unit embeddings, a scale, and two keys a row, of which some agree."""
    generator = torch.Generator().manual_seed(0)
    queries, items = functional.normalize(torch.randn(2, batch, dim, generator=generator, dtype=dtype), dim=2)
    keys = torch.stack([torch.randint(0, high, (batch,), generator=generator) for high in (batch, 2 * batch)], dim=1)
    return queries.requires_grad_(), items.requires_grad_(), torch.tensor(9.0, dtype=dtype, requires_grad=True), keys


def plain_value(plain: Callable, queries: Tensor, items: Tensor, scale: Tensor, keys: Tensor) -> Tensor:
    return plain(scale * queries @ items.T, same_concept_or_text(keys[:, 0], keys[:, 1]))


@every_pair
@pytest.mark.parametrize("chunk_size", [1, 4, 12, 50])
def test_value_and_gradient_are_those_of_the_plain_loss(chunked: Callable, plain: Callable, chunk_size: int) -> None:
    *inputs, keys = case(13)
    expected = plain_value(plain, *inputs, keys)
    value = chunked(inputs[0], inputs[1], keys, keys, scale=inputs[2], chunk_size=chunk_size)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(3 * each, inputs) for each in (value, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@every_pair
def test_a_large_batch_in_single_precision_agrees_to_five_digits(chunked: Callable, plain: Callable) -> None:
    *inputs, keys = case(1500, 32, torch.float32)
    expected = plain_value(plain, *inputs, keys)
    value = chunked(inputs[0], inputs[1], keys, keys, scale=inputs[2], chunk_size=256)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)
    for ours, theirs in zip(*(torch.autograd.grad(each, inputs) for each in (value, expected)), strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@every_pair
def test_the_gradient_is_that_of_finite_differences(chunked: Callable, plain: Callable) -> None:
    *inputs, keys = case(6, 3)
    assert torch.autograd.gradcheck(lambda q, x, s: chunked(q, x, keys, keys, scale=s, chunk_size=4), inputs)


@every_pair
def test_items_may_be_more_than_queries(chunked: Callable, plain: Callable) -> None:
    queries, items, scale, keys = case(12)
    expected = plain(scale * queries[:5] @ items.T, keys[:5, :1] == keys[:, 0])
    value = chunked(queries[:5], items, keys[:5, :1], keys[:, :1], scale=scale, chunk_size=2)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(torch.autograd.grad(each, (queries, items)) for each in (value, expected)))


@every_pair
@pytest.mark.parametrize("keys", ["same", "strange", "few"])
def test_rows_of_all_positives_or_of_none_are_defined(chunked: Callable, plain: Callable, keys: str) -> None:
    *inputs, _ = case(7)
    labels = {"same": torch.zeros(7), "strange": torch.arange(7), "few": torch.arange(7) % 2}[keys].long()[:, None]
    item_labels = labels + 100 if keys == "strange" else labels
    expected = plain(inputs[2] * inputs[0] @ inputs[1].T, labels == item_labels[:, 0])
    value = chunked(inputs[0], inputs[1], labels, item_labels, scale=inputs[2], chunk_size=2)
    value.backward()
    torch.testing.assert_close(value, expected)
    assert all(each.grad.isfinite().all() for each in inputs)


@every_pair
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_value_and_gradient_stay_finite_at_wide_gaps(chunked: Callable, plain: Callable, scale: float) -> None:
    queries, items, _, keys = case(9, dtype=torch.float32)
    factor = torch.tensor(scale, requires_grad=True)
    value = chunked(queries, items, keys, keys, scale=factor, chunk_size=4)
    value.backward()
    assert value.isfinite() and all(each.grad.isfinite().all() for each in (queries, items, factor))


@every_pair
def test_no_row_is_a_zero_that_is_joined_to_the_graph(chunked: Callable, plain: Callable) -> None:
    queries, keys = torch.zeros(0, 3, requires_grad=True), torch.zeros(0, 1, dtype=torch.long)
    value = chunked(queries, queries, keys, keys, scale=torch.tensor(1.0))
    value.backward()
    assert value == 0 and queries.grad is not None


@every_pair
def test_the_matrix_of_scores_is_never_made(chunked: Callable, plain: Callable) -> None:
    *inputs, keys = case(1024, 16, torch.float32)
    with LargestTensor() as by_chunks:
        chunked(inputs[0], inputs[1], keys, keys, scale=inputs[2], chunk_size=32).backward()
    with LargestTensor() as at_once:
        plain_value(plain, *inputs, keys).backward()
    assert at_once.num_elements == 1024 * 1024
    assert by_chunks.num_elements == 32 * 1024


@every_pair
def test_half_precision_embeddings_keep_their_precision(chunked: Callable, plain: Callable) -> None:
    *inputs, keys = case(64, 16, torch.float32)
    halves = [each.detach().bfloat16().requires_grad_() for each in inputs]
    value = chunked(halves[0], halves[1], keys, keys, scale=halves[2], chunk_size=16)
    value.backward()
    assert value.dtype == halves[0].grad.dtype == torch.bfloat16
    assert value.item() == pytest.approx(plain_value(plain, *inputs, keys).item(), rel=0.02)


def test_under_autocast_the_gradient_is_the_same() -> None:
    *inputs, keys = case(16, 8, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = chunked_info_nce(inputs[0], inputs[1], keys, keys, scale=inputs[2])
    torch.testing.assert_close(value, plain_value(info_nce, *inputs, keys))
