"""What the forms of STIR share: pairs are read in either order, and most forms keep an embedding."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.errors import UsageError
from limner.models.relevance import RelevanceModel
from limner.models.stir.config import STIRConfig
from limner.nn.parts import Parts, carried
from limner.nn.scale import log_scale_of
from limner.nn.trunks import build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Embeddings, Images, Tokens

__all__ = ["STIR", "EmbeddingSTIR"]

_PAIRS_AT_ONCE = 128


class STIR(RelevanceModel):
    """Two pictures become the log-odds that they show the same thing; it reads no words."""

    reads_pairs = True
    reads_texts = False

    def __init__(self, config: STIRConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)

    @property
    def has_order(self) -> bool:
        """Whether it matters which of two pictures is the first."""
        return False

    def text_parts(self, tokens: Tokens) -> Parts:
        """Raise a UsageError: only pictures are compared."""
        raise UsageError("stir compares pictures with pictures; ask with a picture, or with another re-ranker")

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the log-odds that picture i of both shows the same thing; outside of training, 128 pairs at a time."""
        if self.training or len(queries) <= _PAIRS_AT_ONCE:
            return self._scores(queries, documents)
        places = torch.arange(len(queries), device=queries.mask.device).split(_PAIRS_AT_ONCE)
        return torch.cat([self._scores(queries.take(rows), documents.take(rows)) for rows in places])

    @abstractmethod
    def ordered_scores(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of pairs read in one order only."""

    def _scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        scores = self.ordered_scores(queries, documents)
        if not (self.has_order and self.config.is_symmetric):
            return scores
        return (scores + self.ordered_scores(documents, queries)) / 2

    @property
    def _layer_dim(self) -> int:
        """The width of the layers that read pictures: the vision transformer's own, or those over a grid."""
        is_transformer = isinstance(self.config.vision, VisionTransformerConfig)
        return int(self.vision.feature_dim) if is_transformer else self.config.layers.dim


class EmbeddingSTIR(STIR):
    """A form that keeps the extractor's embedding, whose scaled cosine is part of the score."""

    def __init__(self, config: STIRConfig) -> None:
        super().__init__(config)
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.cosine_scale = log_scale_of(config.cosine_temperature)
        self.cosine_threshold = nn.Parameter(torch.tensor(config.cosine_threshold))

    def encode_images(self, images: Images) -> Embeddings:
        """Return unit embeddings of pictures, as the extractor makes them."""
        return self._embeddings_of(self.vision(images))

    def embeddings(self, parts: Parts) -> Embeddings:
        """Return the unit embeddings that parts carry, or are."""
        return carried(parts, self.config.embed_dim)

    @abstractmethod
    def compared(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return what is added to the scaled cosine of pairs."""

    def ordered_scores(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of pairs read in one order only."""
        cosines = (self.embeddings(first) * self.embeddings(second)).sum(dim=1)
        likely = (cosines - self.cosine_threshold) * self.cosine_scale.exp()
        return likely + self.compared(first, second)

    def _embeddings_of(self, features: Float[Tensor, "batch feature_dim"]) -> Embeddings:
        return functional.normalize(self.image_projection(features).float(), dim=-1)
