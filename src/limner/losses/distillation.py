"""What a teacher says becomes a target."""

from torch.nn import functional

from limner.types import Embeddings, Scalar

__all__ = ["cosine_distance"]


def cosine_distance(embeddings: Embeddings, targets: Embeddings) -> Scalar:
    r"""Mean of 1 - cos(e_i, t_i), which for unit vectors is half of |e_i - t_i|^2."""
    return (1 - functional.cosine_similarity(embeddings, targets, dim=-1)).mean()
