"""The softmax over a collection as a walk down a binary tree: exact, at the cost of the depth of one leaf."""

import heapq
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor
from torch.nn import functional

from limner.types import Embeddings, Scalar, Scores

__all__ = ["Tree", "balanced_tree", "hierarchical_log_probabilities", "hierarchical_softmax", "huffman_tree"]

# An inner node or leaf while a tree grows: leaves are numbered from 0, inner nodes from the number of leaves.
Children = list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A binary tree whose leaves are the items; N items have N - 1 inner nodes, each with a vector to be learned.

    `nodes[d]` are the inner nodes on the way from the root to item d, `turns[d]` is +1 where the way goes left, -1
    where it goes right, and 0 where it has ended.
    """

    nodes: Int[Tensor, "items depth"]
    turns: Float[Tensor, "items depth"]

    @property
    def num_nodes(self) -> int:
        """Return how many node vectors the tree needs."""
        return max(len(self.nodes) - 1, 0)


def huffman_tree(counts: Real[Tensor, " items"]) -> Tree:
    """Return the tree in which the mean depth, weighted by counts, is least (Huffman 1952).

    It lies between the entropy of the counts in bits and that plus 1. Equal counts join in the order of the items.
    """
    heap = [(float(count), item) for item, count in enumerate(counts)]
    heapq.heapify(heap)
    children: Children = []
    while len(heap) > 1:
        (light, one), (heavy, other) = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (light + heavy, len(counts) + len(children)))
        children.append((one, other))
    return _tree(len(counts), children)


def balanced_tree(num_items: int) -> Tree:
    """Return the tree of depth ceil(log2 N) that keeps the order of the items: neighbours share most of their way.

    Order the items by meaning first (by cluster, by category), and near items share node vectors.
    """
    row, children = list(range(num_items)), Children()
    while len(row) > 1:
        joined = []
        for left, right in zip(row[::2], row[1::2], strict=False):
            joined.append(num_items + len(children))
            children.append((left, right))
        row = joined + row[len(joined) * 2 :]
    return _tree(num_items, children)


def hierarchical_softmax(
    queries: Embeddings, nodes: Float[Tensor, "num_nodes embed_dim"], tree: Tree, targets: Int[Tensor, " batch"]
) -> Scalar:
    r"""Cross-entropy of the items `targets`, the mean over queries (Morin and Bengio 2005; Mikolov et al. 2013).

    .. math:: L = -\frac{1}{Q} \sum_q \log p(d|q), \qquad
        p(d|q) = \prod_{v \in \text{way}(d)} \sigma(t_v \langle q, n_v \rangle)

    At every node left and right share a probability of 1, so that p sums to 1 over the items without being normalised.
    Only the nodes on the way to the target are touched: about log2 N instead of N. https://arxiv.org/abs/1310.4546
    """
    turns = tree.turns[targets].to(queries.dtype)
    scores = torch.einsum("qd,qld->ql", queries, nodes[tree.nodes[targets]])
    terms = functional.logsigmoid(turns * scores).masked_fill(turns == 0, 0)
    return -terms.sum() / max(len(queries), 1)


def hierarchical_log_probabilities(
    queries: Embeddings, nodes: Float[Tensor, "num_nodes embed_dim"], tree: Tree
) -> Scores:
    """Return log p(d|q) of every item, the scores to rank by; this costs the whole collection."""
    scores = queries @ nodes.T
    turns = tree.turns.to(queries.dtype)
    total = scores.new_zeros(len(queries), len(turns))
    for level in range(turns.shape[1]):
        terms = functional.logsigmoid(turns[:, level] * scores[:, tree.nodes[:, level]])
        total = total + terms.masked_fill(turns[:, level] == 0, 0)
    return total


def _tree(num_items: int, children: Children) -> Tree:
    """Write down the way to every leaf. Parents were made after their children; the root, made last, becomes node 0."""
    ways: dict[int, list[tuple[int, float]]] = {num_items + len(children) - 1: []}
    for place in range(len(children) - 1, -1, -1):
        way, node = ways.pop(num_items + place), len(children) - 1 - place
        for child, turn in zip(children[place], (1.0, -1.0), strict=True):
            ways[child] = [*way, (node, turn)]
    depth = max((len(way) for way in ways.values()), default=0)
    nodes = torch.zeros(num_items, depth, dtype=torch.long)
    turns = torch.zeros(num_items, depth)
    for item in range(num_items):
        for level, (node, turn) in enumerate(ways[item]):
            nodes[item, level], turns[item, level] = node, turn
    return Tree(nodes=nodes, turns=turns)
