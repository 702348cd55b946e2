import pytest
import torch

from limner.losses.contrastive import info_nce
from limner.losses.selection import guarded_negatives, positive_slots, same_label, without_self


def test_rows_of_one_label_belong_together_but_not_a_row_to_itself() -> None:
    labels = torch.tensor([3, 5, 3])
    relevance = same_label(labels, labels)
    assert relevance.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert without_self(relevance).tolist() == [[False, False, True], [False, False, False], [True, False, False]]
    in_memory = same_label(labels, torch.tensor([3, 3, 5, 3]))
    assert without_self(in_memory, torch.tensor([3, -1, 0])).tolist() == [
        [True, True, False, False],
        [False, False, True, False],
        [False, True, False, True],
    ]


@pytest.mark.parametrize("seed", range(4))
def test_guarded_negatives_equal_a_double_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(4, 7, generator=generator)
    relevance = torch.rand(4, 7, generator=generator) < 0.3
    relevance[2] = False
    kept = guarded_negatives(scores, relevance, absolute=0.1, relative=0.2)
    for i in range(4):
        positives = [scores[i, p].item() for p in range(7) if relevance[i, p]]
        for j in range(7):
            limit = max(positives) - 0.1 - 0.2 * abs(max(positives)) if positives else float("inf")
            assert kept[i, j] == (not relevance[i, j] and scores[i, j] <= limit)


def test_a_guard_leaves_the_suspects_out_of_a_loss() -> None:
    scores = torch.tensor([[0.8, 0.79, 0.2]], requires_grad=True)
    relevance = torch.tensor([[True, False, False]])
    kept = guarded_negatives(scores, relevance, relative=0.05)
    assert kept.tolist() == [[False, False, True]]
    info_nce(scores, relevance, kept | relevance).backward()
    assert scores.grad is not None and scores.grad[0, 1] == 0 and scores.grad[0, 2] > 0


def test_a_guard_of_nothing_is_nothing() -> None:
    assert guarded_negatives(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)


@pytest.mark.parametrize("shape", [(5, 8), (1, 1), (0, 3), (3, 0)])
def test_slots_hold_the_positives_of_each_row_in_order(shape: tuple[int, int]) -> None:
    relevance = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.4
    positives, filled = positive_slots(relevance)
    for i in range(len(relevance)):
        assert positives[i][filled[i]].tolist() == relevance[i].nonzero()[:, 0].tolist()
    assert positives.shape[1] == (max(relevance.sum(dim=1).tolist(), default=0) if relevance.numel() else 0)
