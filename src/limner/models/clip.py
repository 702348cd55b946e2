"""CLIP: an image tower and a text tower with one joint embedding, https://arxiv.org/abs/2103.00020.

images [n, 3, h, w] -> trunk -> features -> linear -> unit vector \\
                                                                    dot product times a learned scale -> scores
tokens [n, length]  -> trunk -> features -> linear -> unit vector /
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualTrunk
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.vision import VisionTransformer, VisionTransformerConfig
from limner.types import Embeddings, Images, Scalar, Tokens

__all__ = ["CLIP", "CLIPConfig"]

VisionConfig = VisionTransformerConfig | InvertedResidualConfig

_TRUNKS: dict[str, Callable[[Any], nn.Module]] = {
    "vit": VisionTransformer,
    "inverted_residual": InvertedResidualTrunk,
}


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Both towers and the joint space; the scale starts at 1 / `temperature` and is clamped at `max_scale`."""

    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    embed_dim: int = 256
    temperature: float = 0.07
    max_scale: float = 100.0
    bias: float = 0.0


class CLIP(nn.Module):
    """Two towers, their projections, and the learned scale (and, for pairs judged alone, bias) of the scores."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = _TRUNKS[config.vision.kind](config.vision)
        self.text = TextTransformer(config.text)
        self.image_projection = nn.Linear(cast(int, self.vision.feature_dim), config.embed_dim, bias=False)
        self.text_projection = nn.Linear(self.text.feature_dim, config.embed_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / config.temperature)))
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def encode_images(self, images: Images) -> Embeddings:
        """Return unit embeddings of RGB pictures in [0, 1]."""
        return functional.normalize(self.image_projection(self.vision(images)).float(), dim=-1)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Return unit embeddings of token ids."""
        return functional.normalize(self.text_projection(self.text(tokens)).float(), dim=-1)

    def scale(self) -> Scalar:
        """Return the factor that turns cosines into scores, exp of a learned number, never above `max_scale`."""
        return self.log_scale.clamp(max=math.log(self.config.max_scale)).exp()

    def forward(self, images: Images, tokens: Tokens) -> tuple[Embeddings, Embeddings]:
        """Return image and text embeddings, unit length."""
        return self.encode_images(images), self.encode_texts(tokens)
