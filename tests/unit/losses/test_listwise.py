import itertools
import math

import pytest
import torch
from pytorch_metric_learning.distances import DotProductSimilarity
from pytorch_metric_learning.losses import SmoothAPLoss, SupConLoss
from tests.unit.losses.ranked_lists import published_gradient, random_lists
from torch import Tensor
from torch.nn import functional

from limner.losses.listwise import approx_ndcg, list_mle, list_net, smooth_ap, softmax_cross_entropy
from limner.losses.selection import same_label, without_self
from limner.losses.similarity import cosine

Lists = list[tuple[list[float], list[int]]]


def real_lists(scores: Tensor, grades: Tensor, mask: Tensor) -> Lists:
    return [(s[m].tolist(), y[m].tolist()) for s, y, m in zip(scores, grades, mask, strict=True)]


def mean(terms: list[float]) -> float:
    return sum(terms) / len(terms) if terms else 0.0


def naive_softmax(lists: Lists) -> float:
    rows = []
    for s, y in lists:
        if sum(y):
            partition = sum(math.exp(each) for each in s)
            rows.append(sum(-y[i] / sum(y) * math.log(math.exp(s[i]) / partition) for i in range(len(s))))
    return mean(rows)


def naive_list_net(lists: Lists) -> float:
    rows = []
    for s, y in lists:
        if s:
            by_scores = [math.exp(each) / sum(math.exp(other) for other in s) for each in s]
            by_grades = [math.exp(each) / sum(math.exp(other) for other in y) for each in y]
            rows.append(-sum(q * math.log(p) for p, q in zip(by_scores, by_grades, strict=True)))
    return mean(rows)


def naive_list_mle(lists: Lists) -> float:
    rows = []
    for s, y in lists:
        if len(set(y)) > 1:
            total = 0.0
            for i in range(len(s)):
                if y[i] > min(y):
                    total -= math.log(math.exp(s[i]) / sum(math.exp(s[j]) for j in range(len(s)) if y[j] <= y[i]))
            rows.append(total)
    return mean(rows)


def naive_approx_ndcg(lists: Lists, temperature: float) -> float:
    rows = []
    for s, y in lists:
        ideal = sum((2**g - 1) / math.log2(2 + r) for r, g in enumerate(sorted(y, reverse=True)))
        if ideal:
            dcg = 0.0
            for i in range(len(s)):
                rank = 1 + sum(1 / (1 + math.exp((s[i] - s[j]) / temperature)) for j in range(len(s)) if j != i)
                dcg += (2 ** y[i] - 1) / math.log2(1 + rank)
            rows.append(1 - dcg / ideal)
    return mean(rows)


def naive_smooth_ap(lists: Lists, temperature: float) -> float:
    rows = []
    for s, y in lists:
        relevant = [i for i in range(len(s)) if y[i]]
        if relevant:
            total = 0.0
            for i in relevant:
                above = [1 / (1 + math.exp((s[i] - s[j]) / temperature)) if j != i else 0.0 for j in range(len(s))]
                total += (1 + sum(above[j] for j in relevant)) / (1 + sum(above))
            rows.append(1 - total / len(relevant))
    return mean(rows)


@pytest.mark.parametrize("seed", range(8))
def test_each_equals_a_double_loop(seed: int) -> None:
    scores, grades, mask = random_lists(seed)
    lists = real_lists(scores, grades, mask)
    close = {"rel": 1e-9, "abs": 1e-12}
    assert softmax_cross_entropy(scores, grades, mask).item() == pytest.approx(naive_softmax(lists), **close)
    assert list_net(scores, grades, mask).item() == pytest.approx(naive_list_net(lists), **close)
    assert list_mle(scores, grades, mask).item() == pytest.approx(naive_list_mle(lists), **close)
    value = approx_ndcg(scores, grades, mask, temperature=0.3).item()
    assert value == pytest.approx(naive_approx_ndcg(lists, 0.3), **close)
    value = smooth_ap(scores, grades > 0, mask, temperature=0.3).item()
    assert value == pytest.approx(naive_smooth_ap(lists, 0.3), **close)


def test_one_relevant_item_a_list_is_the_cross_entropy_of_torch() -> None:
    scores, _, _ = random_lists(1)
    target = torch.tensor([2, 0, 5])
    torch.testing.assert_close(
        softmax_cross_entropy(scores, functional.one_hot(target, 6)), functional.cross_entropy(scores, target)
    )


def test_list_net_is_the_cross_entropy_of_torch_and_of_sentence_transformers() -> None:
    scores, grades, _ = random_lists(2)
    expected = functional.cross_entropy(scores, grades.double().softmax(dim=1))
    torch.testing.assert_close(list_net(scores, grades), expected)
    # Printed by ListNetLoss of sentence-transformers 6.2.0, and by listNet of allRank 1.4.3.
    value, gradient = published_gradient(list_net)
    assert value == pytest.approx(1.6972624, rel=1e-6)
    expected = torch.tensor([-0.0634655, -0.0037625, 0.2890126, -0.2217845, 0.3065773, -0.2368003, -0.069777])
    torch.testing.assert_close(gradient, expected, rtol=0, atol=2e-7)


def test_list_mle_is_that_of_sentence_transformers() -> None:
    # Printed by ListMLELoss(respect_input_order=False) of sentence-transformers 6.2.0, and by listMLE of allRank 1.4.3;
    # the grades are all different.
    value, gradient = published_gradient(list_mle)
    assert value == pytest.approx(3.6597962, rel=1e-6)
    expected = torch.tensor([-0.3762746, 0.0453925, 0.7307094, -0.3998274, 0.7865385, -0.4041798, -0.3823586])
    torch.testing.assert_close(gradient, expected, rtol=0, atol=2e-7)


def test_approx_ndcg_is_that_of_allrank() -> None:
    # Printed by approxNDCGLoss(alpha=2.0) of allRank 1.4.3, which is lower by 1.
    value, gradient = published_gradient(lambda *lists: approx_ndcg(*lists, temperature=0.5))
    assert value == pytest.approx(1 - 0.67774636, rel=1e-6)
    expected = torch.tensor([0.0153341, 0.0033648, 0.0037638, -0.0224626, 0.0094181, -0.0279028, 0.0184847])
    torch.testing.assert_close(gradient, expected, rtol=0, atol=2e-7)


def test_list_mle_is_a_probability_of_orders() -> None:
    scores = torch.randn(1, 4, dtype=torch.float64)
    orders = itertools.permutations(range(4))
    total = sum(math.exp(-list_mle(scores, torch.tensor([order])).item()) for order in orders)
    assert total == pytest.approx(1)


def test_list_mle_of_one_relevant_item_is_the_softmax() -> None:
    scores, _, _ = random_lists(3)
    grades = functional.one_hot(torch.tensor([1, 4, 0]), 6)
    torch.testing.assert_close(list_mle(scores, grades), softmax_cross_entropy(scores, grades))


def test_several_positives_are_the_supcon_of_pytorch_metric_learning() -> None:
    embeddings = functional.normalize(torch.randn(12, 5, dtype=torch.float64), dim=1)
    labels = torch.arange(12) % 4
    itself = torch.eye(12, dtype=torch.bool)
    relevance = without_self(same_label(labels, labels))
    expected = SupConLoss(temperature=0.2, distance=DotProductSimilarity(normalize_embeddings=False))(
        embeddings, labels
    )
    value = softmax_cross_entropy(embeddings @ embeddings.T / 0.2, relevance, ~itself)
    torch.testing.assert_close(value, expected)


def test_smooth_ap_is_that_of_pytorch_metric_learning() -> None:
    embeddings = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    # There every picture is its own first hit; 2.9.0 is right only of as many labels as there are pictures of each.
    labels = torch.arange(4).repeat_interleave(4)
    value = smooth_ap(cosine(embeddings, embeddings), same_label(labels, labels), temperature=0.05)
    torch.testing.assert_close(value, SmoothAPLoss(temperature=0.05)(embeddings, labels))


def test_cold_ranks_are_the_true_ranks() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    grades = torch.tensor([[0, 2, 0, 1]])
    ndcg = (3 / math.log2(3) + 1 / math.log2(5)) / (3 / math.log2(2) + 1 / math.log2(3))
    assert approx_ndcg(scores, grades, temperature=1e-3).item() == pytest.approx(1 - ndcg, rel=1e-5)
    assert smooth_ap(scores, grades > 0, temperature=1e-3).item() == pytest.approx(1 - (1 / 2 + 2 / 4) / 2, rel=1e-5)
