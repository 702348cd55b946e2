"""Late interaction: each part of the query finds its like in the document (ColBERT, https://arxiv.org/abs/2004.12832).

side -> trunk -> features of every token or place -> linear -> unit vectors -> max over d, mean over q -> w
             `-> features of the whole            -> linear -> unit vector  -> cosine                  -> 1 - w
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Finite, Positive
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, behind, carried, whole, with_carried
from limner.nn.scale import clamped_scale, log_scale_of
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Distances, Embeddings, Features, Images, Scalar, Scores, Tokens

__all__ = ["LateInteraction", "LateInteractionConfig"]


@dataclass(frozen=True, kw_only=True)
class LateInteractionConfig:
    """The trunks, the width of a part, and the scale as in CLIP: from 1 / `temperature` on, at most `max_scale`.

    `parts_share` is what max-sim counts for at first, beside the cosine of the wholes; 1 is ColBERT, without wholes.
    """

    kind: Literal["late"] = "late"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    embed_dim: Count = 256
    parts_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    temperature: Positive = 0.07
    max_scale: Positive = 100.0
    bias: Finite = 0.0


class LateInteraction(RelevanceModel):
    r"""Max-sim of unit vectors, as a mean over the parts of the query, beside the cosine of the wholes.

    .. math:: s(q, d) = \gamma \left( (1 - w) \langle \bar q, \bar d \rangle
        + \frac{w}{|q|} \sum_{i \in q} \max_{j \in d} \langle q_i, d_j \rangle \right) + b

    ColBERT's sum orders the documents of one query alike; the mean (FILIP, https://arxiv.org/abs/2111.07783)
    also lets scores of long and short queries be compared. The projections have CLIP's names and sizes: started from a
    CLIP, the cosine of the wholes is CLIP's, and a part is what its place adds to CLIP's embedding. w is learned.
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
        self.has_wholes = config.parts_share < 1
        if self.has_wholes:
            self.parts_logit = nn.Parameter(torch.tensor(config.parts_share).logit())

    def scale(self) -> Scalar:
        """Return the factor of the similarity, exp of a learned number, never above `max_scale`."""
        return clamped_scale(self.log_scale, self.config.max_scale)

    def picture_parts(self, images: Images) -> Parts:
        """Return a unit vector for each place of the grid, behind that of the whole picture."""
        features, places = self.vision.encode(images)
        return self._parts(self.image_projection, features, whole(places))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return a unit vector for each token, behind that of the whole text."""
        sequence = self.text.sequence(tokens)
        return self._parts(self.text_projection, self.text.pool(sequence), sequence)

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of document i for query i."""
        asked, offered = self._behind(queries), self._behind(documents)
        similarities = torch.einsum("bqe,bde->bqd", asked.vectors, offered.vectors)
        best = _mean(similarities.masked_fill(~offered.mask[:, None, :], -1).amax(dim=2), asked.mask)
        return self._scores(best, lambda: (self._wholes(queries) * self._wholes(documents)).sum(dim=1))

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return the score of every document for every query; memory holds one query's similarities at a time."""
        asked, offered = self._behind(queries), self._behind(documents)
        means = []
        for vectors, mask in zip(asked.vectors, asked.mask, strict=True):
            similarities = torch.einsum("qe,bde->bqd", vectors[mask], offered.vectors)
            means.append(similarities.masked_fill(~offered.mask[:, None, :], -1).amax(dim=2).mean(dim=1))
        best = torch.stack(means) if means else offered.vectors.new_zeros(0, len(documents))
        return self._scores(best, lambda: self._wholes(queries) @ self._wholes(documents).T)

    def distances(self, scores: Scores) -> Distances:
        """Return 1 - similarity, in [0, 2]."""
        return 1 - (scores - self.bias) / self.scale()

    def _parts(self, projection: nn.Linear, features: Features, sequence: Parts) -> Parts:
        vectors = functional.normalize(projection(sequence.vectors).float(), dim=-1)
        if not self.has_wholes:
            return Parts(vectors=vectors, mask=sequence.mask)
        return with_carried(functional.normalize(projection(features).float(), dim=-1), vectors, sequence.mask)

    def _behind(self, parts: Parts) -> Parts:
        return behind(parts, self.config.embed_dim) if self.has_wholes else parts

    def _wholes(self, parts: Parts) -> Embeddings:
        return carried(parts, self.config.embed_dim)

    def _scores(self, best: Tensor, cosines: Callable[[], Tensor]) -> Tensor:
        if self.has_wholes:
            share = self.parts_logit.sigmoid()
            best = (1 - share) * cosines() + share * best
        return best * self.scale() + self.bias


def _mean(values: Float[Tensor, "pairs length"], mask: Tensor) -> Float[Tensor, " pairs"]:
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
