"""Embeddings become scores (queries x items, higher is better) or distances (lower is nearer)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from limner.types import Distances, Scores

__all__ = ["cosine", "dot_product", "euclidean", "unit_euclidean"]

Queries = Float[Tensor, "queries embed_dim"]
Items = Float[Tensor, "items embed_dim"]


def dot_product(queries: Queries, items: Items) -> Scores:
    """Return s_ij = <q_i, x_j>; of unit vectors this is the cosine."""
    return queries @ items.T


def cosine(queries: Queries, items: Items) -> Scores:
    """Return s_ij = <q_i, x_j> / (|q_i| |x_j|), which is 0 for a vector of zeros."""
    return functional.normalize(queries, dim=1) @ functional.normalize(items, dim=1).T


def euclidean(queries: Queries, items: Items) -> Distances:
    """Return D_ij = |q_i - x_j|; -D is a score.

    Exact for vectors of any length, and of gradient 0 where two are equal: each pair is subtracted, never expanded into
    a product, which in float32 is off by 1 for vectors of length 1,000 sqrt(dim).
    """
    return torch.cdist(queries, items, compute_mode="donot_use_mm_for_euclid_dist")


def unit_euclidean(queries: Queries, items: Items) -> Distances:
    """Return D_ij = |q_i - x_j| = sqrt(2 - 2 <q_i, x_j>) of unit vectors.

    One matrix product, so faster than `euclidean`, but below about 0.001 (in float32) rounding decides; where it leaves
    nothing, value and gradient are 0.
    """
    squares = torch.addmm(queries.new_full((), 2.0), -2 * queries, items.T)
    apart = squares > 0
    return squares.where(apart, squares.new_ones(())).sqrt().where(apart, squares.new_zeros(()))
