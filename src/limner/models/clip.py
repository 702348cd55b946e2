"""CLIP: an image tower and a text tower with one joint embedding, https://arxiv.org/abs/2103.00020.

images [n, 3, h, w] -> trunk -> features -> linear -> unit vector \\
                                                                    dot product times a learned scale -> scores
tokens [n, length]  -> trunk -> features -> linear -> unit vector /
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
from limner.types import Distances, Embeddings, Images, Scalar, Scores, Tokens

__all__ = ["CLIP", "CLIPConfig"]


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Both towers and the joint space; the scale starts at 1 / `temperature` and is clamped at `max_scale`."""

    kind: Literal["clip"] = "clip"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    embed_dim: Count = 256
    temperature: Positive = 0.07
    max_scale: Positive = 100.0
    bias: Finite = 0.0


class CLIP(RelevanceModel):
    """Two towers, their projections, and the learned scale (and, for pairs judged alone, bias) of the scores.

    As a relevance model it is the dual encoder: one part a picture or text, which is its embedding, and the score is
    scale times cosine plus bias; any side may be a text or a picture.
    """

    reads_pairs = False

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.text = TextTransformer(config.text)
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.text_projection = nn.Linear(self.text.feature_dim, config.embed_dim, bias=False)
        self.log_scale = log_scale_of(config.temperature)
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def encode_images(self, images: Images) -> Embeddings:
        """Return unit embeddings of RGB pictures in [0, 1]."""
        return functional.normalize(self.image_projection(self.vision(images)).float(), dim=-1)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Return unit embeddings of token ids."""
        return functional.normalize(self.text_projection(self.text(tokens)).float(), dim=-1)

    def scale(self) -> Scalar:
        """Return the factor that turns cosines into scores, exp of a learned number, never above `max_scale`."""
        return clamped_scale(self.log_scale, self.config.max_scale)

    def forward(self, images: Images, tokens: Tokens) -> tuple[Embeddings, Embeddings]:
        """Return image and text embeddings, unit length."""
        return self.encode_images(images), self.encode_texts(tokens)

    def picture_parts(self, images: Images) -> Parts:
        """Return one part a picture, its embedding."""
        return whole(self.encode_images(images)[:, None])

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return one part a text, its embedding."""
        return whole(self.encode_texts(tokens)[:, None])

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return scale <q_i, d_i> + bias."""
        return (queries.vectors[:, 0] * documents.vectors[:, 0]).sum(dim=1) * self.scale() + self.bias

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return scale <q_i, d_j> + bias."""
        return queries.vectors[:, 0] @ documents.vectors[:, 0].T * self.scale() + self.bias

    def distances(self, scores: Scores) -> Distances:
        """Return 1 - cosine, in [0, 2]."""
        return 1 - (scores - self.bias) / self.scale()
