"""Which pairs count as positives: masks that every loss takes, so that no loss has to know what a batch is."""

from jaxtyping import Int
from torch import Tensor

from limner.types import Relevance

__all__ = ["same_concept_or_text"]


def same_concept_or_text(concepts: Int[Tensor, " batch"], texts: Int[Tensor, " batch"]) -> Relevance:
    """Return true at (i, j) where picture i and text j belong together.

    They do when their pictures show one concept, or when their captions are the same words: several captions of a
    picture, several pictures of a concept and repeated captions are never each other's negatives.
    """
    return (concepts[:, None] == concepts[None, :]) | (texts[:, None] == texts[None, :])
