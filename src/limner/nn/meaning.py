"""What a text means to a CLIP, for a model that draws: unCLIP's way of telling a decoder, https://arxiv.org/abs/2204.06125.

tokens [n, length] -> the CLIP's text tower -> its projection -> vector of length sqrt(embed_dim) -> linear -> [n, dim]
                      `-------------------- frozen --------------------'
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count
from limner.nn.text import TextConfig, TextTransformer
from limner.types import Embeddings, Tokens

__all__ = ["Meaning", "MeaningConfig"]

_DEVIATION = 0.02
"""Of what is told at first: as large as what else a drawing model reads, which would drown in more."""


@dataclass(frozen=True, kw_only=True)
class MeaningConfig:
    """The sizes of the CLIP's text tower, and of its joint space."""

    text: TextConfig = field(default_factory=TextConfig)
    embed_dim: Count = 256


class Meaning(nn.Module):
    """Texts as a CLIP places them among pictures; its modules have the CLIP's names, so that its weights fit."""

    def __init__(self, config: MeaningConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        self.text = TextTransformer(config.text)
        self.text_projection = nn.Linear(self.text.feature_dim, config.embed_dim, bias=False)
        self.widen = nn.Linear(config.embed_dim, dim)
        nn.init.normal_(self.widen.weight, std=_DEVIATION / config.embed_dim**0.5)
        nn.init.zeros_(self.widen.bias)

    @torch.no_grad()
    def embed(self, tokens: Tokens) -> Embeddings:
        """Return the CLIP's unit embedding of each text, of which no more is read than the CLIP reads."""
        features = self.text_projection(self.text(tokens[:, : self.config.text.length]))
        return functional.normalize(features.float(), dim=-1)

    def forward(self, embeddings: Embeddings) -> Float[Tensor, "batch dim"]:
        """Return what is told of each text: all that learns here."""
        return self.widen(embeddings * self.config.embed_dim**0.5)
