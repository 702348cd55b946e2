import copy

import pytest
import torch
from torch import Tensor, nn

from limner.losses.contrastive import info_nce
from limner.losses.memory import EmbeddingMemory, follow
from limner.losses.selection import same_label, without_self
from limner.losses.similarity import dot_product


def rows(start: int, count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(start, start + count)
    return labels[:, None].float().expand(count, 2), labels


@pytest.mark.parametrize("size", [1, 4, 7])
@pytest.mark.parametrize("batches", [[3, 3, 3], [1], [9], [2, 11, 0, 5], [4, 4], [7, 1]])
def test_it_holds_the_last_rows_of_batches_of_any_size(size: int, batches: list[int]) -> None:
    memory = EmbeddingMemory(size, 2)
    seen = 0
    for batch in batches:
        embeddings, labels = rows(seen, batch)
        places = memory.enqueue(embeddings, labels)
        seen += batch
        held, held_labels = memory.contents()
        assert sorted(held_labels.tolist()) == list(range(max(seen - size, 0), seen))
        assert len(memory) == len(held) and (held[:, 0] == held_labels).all()
        for label, place in zip(labels.tolist(), places.tolist(), strict=True):
            assert (place == -1) == (label < seen - size)
            assert place == -1 or held_labels[place] == label


def test_the_loss_of_the_first_batch_has_something_to_rank() -> None:
    memory = EmbeddingMemory(8, 2)
    embeddings = torch.randn(4, 2, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    own = memory.enqueue(embeddings, labels)
    items, item_labels = memory.contents()
    relevance = same_label(labels, item_labels)
    others = without_self(torch.ones_like(relevance), own)
    value = info_nce(dot_product(embeddings, items), relevance, others)
    memory.enqueue(embeddings, labels)
    value.backward()
    assert value > 0 and embeddings.grad is not None and embeddings.grad.abs().sum() > 0
    assert not items.requires_grad


def test_a_copy_loaded_from_its_state_goes_on_alike() -> None:
    memory = EmbeddingMemory(5, 2)
    memory.enqueue(*rows(0, 3))
    other = EmbeddingMemory(5, 2)
    other.load_state_dict(memory.state_dict())
    for each in (memory, other):
        each.enqueue(*rows(3, 4))
    assert all(torch.equal(a, b) for a, b in zip(memory.contents(), other.contents(), strict=True))


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one embedding, not 0"):
        EmbeddingMemory(0, 2)


def test_a_follower_moves_by_its_momentum() -> None:
    fast = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    slow = copy.deepcopy(fast)
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter += 1
    fast(torch.randn(4, 2))
    before = [parameter.clone() for parameter in slow.parameters()]
    follow(slow, fast, momentum=0.9)
    for old, kept, parameter in zip(before, slow.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(kept, 0.9 * old + 0.1 * parameter)
    assert all(torch.equal(a, b) for a, b in zip(slow.buffers(), fast.buffers(), strict=True))
