"""An extractor: a picture becomes a unit vector, and the nearest vectors are candidates (https://arxiv.org/abs/2304.13393).

images [n, 3, h, w] -> trunk -> features -> linear -> unit vector

It is the image tower of a CLIP alone (`extractor_of` takes it out). Of ViT-Triplet the linear map is the identity.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count
from limner.errors import UsageError
from limner.models.clip import CLIP
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, whole
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Distances, Embeddings, Images, Scalar, Scores, Tokens

__all__ = ["Extractor", "ExtractorConfig", "extractor_of"]


@dataclass(frozen=True, kw_only=True)
class ExtractorConfig:
    """The trunk and the width of the vectors."""

    kind: Literal["extractor"] = "extractor"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    embed_dim: Count = 256


class Extractor(RelevanceModel):
    """Pictures become unit vectors, and the score of two is their cosine; it reads no words."""

    bias: Tensor

    reads_pairs = False
    reads_texts = False

    def __init__(self, config: ExtractorConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.register_buffer("bias", torch.zeros(()), persistent=False)

    def encode_images(self, images: Images) -> Embeddings:
        """Return unit embeddings of RGB pictures in [0, 1]."""
        return functional.normalize(self.image_projection(self.vision(images)).float(), dim=-1)

    def scale(self) -> Scalar:
        """Return the factor from cosines to scores, 1."""
        return torch.ones_like(self.bias)

    def picture_parts(self, images: Images) -> Parts:
        """Return one part a picture, its embedding."""
        return whole(self.encode_images(images)[:, None])

    def text_parts(self, tokens: Tokens) -> Parts:
        """Raise a UsageError: only pictures are compared."""
        raise UsageError("an extractor compares pictures with pictures; ask with a picture, or take a CLIP")

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return <q_i, d_i>."""
        return (queries.vectors[:, 0] * documents.vectors[:, 0]).sum(dim=1)

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return <q_i, d_j>."""
        return queries.vectors[:, 0] @ documents.vectors[:, 0].T

    def distances(self, scores: Scores) -> Distances:
        """Return 1 - cosine, in [0, 2]."""
        return 1 - scores


def extractor_of(clip: CLIP) -> Extractor:
    """Return the image tower of a CLIP, which gives the same vectors of pictures and reads no words."""
    config = clip.config
    extractor = Extractor(ExtractorConfig(vision=config.vision, embed_dim=config.embed_dim))
    weights = clip.state_dict()
    extractor.load_state_dict({name: weights[name] for name in extractor.state_dict()})
    return extractor.eval()
