"""Which pairs count: masks that every loss takes, so that no loss has to know what a batch is."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from limner.types import ItemMask, Relevance, Scores

__all__ = [
    "guarded_negatives",
    "positive_slots",
    "same_concept_or_text",
    "same_label",
    "without_self",
]


def same_concept_or_text(concepts: Int[Tensor, " batch"], texts: Int[Tensor, " batch"]) -> Relevance:
    """Return true at (i, j) where picture i and text j belong together.

    They do when their pictures show one concept, or when their captions are the same words: several captions of a
    picture, several pictures of a concept and repeated captions are never each other's negatives.
    """
    return (concepts[:, None] == concepts[None, :]) | (texts[:, None] == texts[None, :])


def same_label(queries: Int[Tensor, " queries"], items: Int[Tensor, " items"]) -> Relevance:
    """Return true at (i, j) where query i and item j carry one label."""
    return queries[:, None] == items[None, :]


def without_self(relevance: Relevance, own: Int[Tensor, " queries"] | None = None) -> Relevance:
    """Return the pairs less each query's pair with itself, which is item i, or item `own[i]` of a memory."""
    places = torch.arange(len(relevance), device=relevance.device) if own is None else own
    return relevance & (places[:, None] != torch.arange(relevance.shape[1], device=relevance.device))


def guarded_negatives(
    scores: Scores, relevance: Relevance, *, absolute: float = 0.0, relative: float = 0.0
) -> ItemMask:
    r"""Return the negatives that are not suspected to be false ones: those that score well below the best positive.

    .. math:: j \notin P_i \;\text{and}\; s_{ij} \le s_{i+} - a - r |s_{i+}|, \qquad s_{i+} = \max_{p \in P_i} s_{ip}

    Judge by the scores of a teacher, or by those of the model itself; r = 0.05 is NV-Retriever's 95 % of the positive
    (https://arxiv.org/abs/2407.15831). A query without a positive keeps all. What a loss takes as its mask is this or
    `relevance`.
    """
    scores = scores.detach()
    lowest = torch.finfo(scores.dtype).min
    best = scores.masked_fill(~relevance, lowest).amax(dim=1, keepdim=True) if scores.numel() else scores[:, :1]
    limit = best - absolute - relative * best.abs()
    return ~relevance & ((scores <= limit) | ~relevance.any(dim=1, keepdim=True))


def positive_slots(
    relevance: Relevance,
) -> tuple[Int[Tensor, "queries slots"], Bool[Tensor, "queries slots"]]:
    """Return the positives of each row side by side, as many slots as the richest row needs, and which are filled.

    What is computed for positives only then costs their number, not the length of the list.
    """
    rows, columns = relevance.nonzero(as_tuple=True)
    counts = rows.bincount(minlength=len(relevance))
    starts = counts.cumsum(dim=0) - counts
    num_slots = int(counts.max()) if len(counts) else 0
    slots = torch.arange(len(rows), device=rows.device) - starts[rows]
    positives = rows.new_zeros(len(relevance), num_slots)
    filled = torch.zeros_like(positives, dtype=torch.bool)
    positives[rows, slots] = columns
    filled[rows, slots] = True
    return positives, filled
