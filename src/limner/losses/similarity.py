"""Embeddings become scores: queries x items, higher is better."""

from limner.types import Embeddings, Scores

__all__ = ["dot_product"]


def dot_product(queries: Embeddings, items: Embeddings) -> Scores:
    """Return s_ij = <q_i, x_j>; of unit vectors this is the cosine."""
    return queries @ items.T
