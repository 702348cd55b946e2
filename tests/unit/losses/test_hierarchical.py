import math

import pytest
import torch
from tests.unit.losses.largest_tensor import LargestTensor
from torch import Tensor
from torch.nn import functional

from limner.losses.hierarchical import (
    Tree,
    balanced_tree,
    hierarchical_log_probabilities,
    hierarchical_softmax,
    huffman_tree,
)

COUNTS = torch.tensor([5, 1, 1, 2, 9, 1, 3])


def depths(tree: Tree) -> Tensor:
    return (tree.turns != 0).sum(dim=1)


def parts(tree: Tree, queries: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(queries, 3, generator=generator, dtype=torch.float64),
        torch.randn(tree.num_nodes, 3, generator=generator, dtype=torch.float64),
        torch.randint(0, len(tree.nodes), (queries,), generator=generator),
    )


every_tree = pytest.mark.parametrize(
    "tree", [huffman_tree(COUNTS), balanced_tree(7), balanced_tree(8), balanced_tree(2), huffman_tree(COUNTS[:1])]
)


@every_tree
def test_probabilities_sum_to_one(tree: Tree) -> None:
    queries, nodes, _ = parts(tree)
    total = hierarchical_log_probabilities(queries * 3, nodes, tree).exp().sum(dim=1)
    torch.testing.assert_close(total, torch.ones(4, dtype=torch.float64))


@every_tree
def test_the_loss_equals_a_loop_and_the_log_probability_of_the_target(tree: Tree) -> None:
    queries, nodes, targets = parts(tree)
    total = 0.0
    for query, target in zip(queries, targets, strict=True):
        for node, turn in zip(tree.nodes[target].tolist(), tree.turns[target].tolist(), strict=True):
            if turn:
                total += math.log(1 / (1 + math.exp(-turn * (query @ nodes[node]).item())))
    value = hierarchical_softmax(queries, nodes, tree, targets)
    assert value.item() == pytest.approx(-total / 4)
    logs = hierarchical_log_probabilities(queries, nodes, tree)
    torch.testing.assert_close(value, functional.nll_loss(logs, targets))


def test_two_items_are_a_binary_cross_entropy() -> None:
    tree = balanced_tree(2)
    queries, nodes, targets = parts(tree)
    expected = functional.binary_cross_entropy_with_logits((queries @ nodes.T)[:, 0], (targets == 0).double())
    torch.testing.assert_close(hierarchical_softmax(queries, nodes, tree, targets), expected)


@pytest.mark.parametrize("num_items", [1, 2, 3, 5, 8, 100, 1000])
def test_a_balanced_tree_is_as_deep_as_a_logarithm(num_items: int) -> None:
    tree = balanced_tree(num_items)
    assert int(depths(tree).max()) == math.ceil(math.log2(num_items))
    assert tree.num_nodes == num_items - 1
    if num_items > 1:
        assert sorted(tree.nodes[tree.turns != 0].unique().tolist()) == list(range(num_items - 1))


def test_neighbours_share_their_way_in_a_balanced_tree() -> None:
    tree = balanced_tree(8)
    assert tree.nodes[2].tolist() == tree.nodes[3].tolist()
    assert tree.nodes[0, 1] != tree.nodes[7, 1] and tree.nodes[0, 0] == tree.nodes[7, 0] == 0


def test_a_huffman_tree_spends_about_the_entropy() -> None:
    shares = COUNTS.double() / COUNTS.sum()
    mean_depth = (shares * depths(huffman_tree(COUNTS))).sum()
    entropy = -(shares * shares.log2()).sum()
    assert entropy <= mean_depth < entropy + 1
    assert mean_depth < (shares * depths(balanced_tree(7))).sum()


def test_counts_that_are_powers_of_two_have_the_depth_of_their_logarithm() -> None:
    assert depths(huffman_tree(torch.tensor([8, 4, 2, 1, 1]))).tolist() == [1, 2, 3, 4, 4]


def test_the_cost_grows_with_the_logarithm_of_the_items() -> None:
    sizes = []
    for num_items in (1 << 6, 1 << 12):
        tree = balanced_tree(num_items)
        queries = torch.randn(4, 8, requires_grad=True)
        nodes = torch.randn(tree.num_nodes, 8)
        with LargestTensor() as largest:
            hierarchical_softmax(queries, nodes, tree, torch.arange(4))
        sizes.append(largest.num_elements)
    assert sizes == [4 * 6 * 8, 4 * 12 * 8]


@every_tree
def test_the_gradient_is_that_of_finite_differences(tree: Tree) -> None:
    queries, nodes, targets = parts(tree)
    assert torch.autograd.gradcheck(
        lambda q, n: hierarchical_softmax(q, n, tree, targets), (queries.requires_grad_(), nodes.requires_grad_())
    )


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_value_and_gradient_stay_finite_at_wide_gaps(gap: float) -> None:
    tree = balanced_tree(4)
    queries, nodes = torch.full((4, 1), gap, requires_grad=True), torch.ones(3, 1, requires_grad=True)
    value = hierarchical_softmax(queries, nodes, tree, torch.arange(4))
    value.backward()
    assert value.isfinite() and queries.grad.isfinite().all() and nodes.grad.isfinite().all()


def test_no_query_is_a_zero_that_is_joined_to_the_graph() -> None:
    tree = balanced_tree(4)
    queries = torch.zeros(0, 2, requires_grad=True)
    value = hierarchical_softmax(queries, torch.zeros(3, 2), tree, torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value == 0


def test_it_learns_a_distribution() -> None:
    tree = huffman_tree(COUNTS)
    queries, targets = torch.ones(int(COUNTS.sum()), 1), torch.arange(7).repeat_interleave(COUNTS)
    nodes = torch.zeros(6, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([nodes], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = hierarchical_softmax(queries, nodes, tree, targets)
        value.backward()
        return value

    optimizer.step(closure)
    learned = hierarchical_log_probabilities(queries[:1], nodes, tree).exp()[0]
    torch.testing.assert_close(learned, COUNTS / COUNTS.sum(), rtol=0, atol=1e-3)
