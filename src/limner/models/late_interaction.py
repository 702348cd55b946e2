"""Late interaction: each part of the query finds its like in the document (ColBERT, https://arxiv.org/abs/2004.12832).

query    -> trunk -> features of every token or place -> linear -> unit vectors \\
                                                                     max over d, mean over q, times a scale -> score
document -> trunk -> features of every token or place -> linear -> unit vectors /
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Finite, Positive
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, whole
from limner.nn.scale import clamped_scale, log_scale_of
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Distances, Images, Scalar, Scores, Tokens

__all__ = ["LateInteraction", "LateInteractionConfig"]


@dataclass(frozen=True, kw_only=True)
class LateInteractionConfig:
    """The trunks, the width of a part, and the scale as in CLIP: from 1 / `temperature` on, at most `max_scale`."""

    kind: Literal["late"] = "late"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    embed_dim: Count = 256
    temperature: Positive = 0.07
    max_scale: Positive = 100.0
    bias: Finite = 0.0


class LateInteraction(RelevanceModel):
    r"""Max-sim of unit vectors, as a mean over the parts of the query.

    .. math:: s(q, d) = \frac{\gamma}{|q|} \sum_{i \in q} \max_{j \in d} \langle q_i, d_j \rangle + b

    ColBERT's sum orders the documents of one query alike; the mean (FILIP, https://arxiv.org/abs/2111.07783)
    also lets scores of long and short queries be compared. The projections have CLIP's names and sizes: started from a
    CLIP, a part is what its place adds to CLIP's embedding.
    """

    reads_pairs = False

    def __init__(self, config: LateInteractionConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.text = TextTransformer(config.text)
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.text_projection = nn.Linear(self.text.feature_dim, config.embed_dim, bias=False)
        self.log_scale = log_scale_of(config.temperature)
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def scale(self) -> Scalar:
        """Return the factor of the mean similarity, exp of a learned number, never above `max_scale`."""
        return clamped_scale(self.log_scale, self.config.max_scale)

    def picture_parts(self, images: Images) -> Parts:
        """Return a unit vector for each place of the grid."""
        return whole(functional.normalize(self.image_projection(self.vision.sequence(images)).float(), dim=-1))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return a unit vector for each token."""
        sequence = self.text.sequence(tokens)
        vectors = functional.normalize(self.text_projection(sequence.vectors).float(), dim=-1)
        return Parts(vectors=vectors, mask=sequence.mask)

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of document i for query i."""
        similarities = torch.einsum("bqe,bde->bqd", queries.vectors, documents.vectors)
        best = similarities.masked_fill(~documents.mask[:, None, :], -1).amax(dim=2)
        return _mean(best, queries.mask) * self.scale() + self.bias

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return the score of every document for every query; memory holds one query's similarities at a time."""
        means = []
        for vectors, mask in zip(queries.vectors, queries.mask, strict=True):
            similarities = torch.einsum("qe,bde->bqd", vectors[mask], documents.vectors)
            means.append(similarities.masked_fill(~documents.mask[:, None, :], -1).amax(dim=2).mean(dim=1))
        return torch.stack(means) * self.scale() + self.bias

    def distances(self, scores: Scores) -> Distances:
        """Return 1 - mean similarity, in [0, 2]."""
        return 1 - (scores - self.bias) / self.scale()


def _mean(values: Float[Tensor, "pairs length"], mask: Tensor) -> Float[Tensor, " pairs"]:
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
