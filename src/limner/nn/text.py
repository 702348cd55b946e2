"""The text trunk: byte-pair tokens through a transformer, one feature vector a text."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.config import Count
from limner.nn.parts import Parts
from limner.nn.transformer import Transformer, TransformerConfig
from limner.types import PADDING_TOKEN, Features, Tokens

__all__ = ["TextConfig", "TextTransformer"]

_LEAST_GROUPED, _NUM_GROUPS = 32, 4
"""From how many texts on they are grouped by length, and into how many groups."""


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Sizes of a text trunk; the token table is `token_dim` wide and widened by a linear map (ALBERT, 1909.11942)."""

    vocab_size: Count = 8192
    length: Annotated[int, Field(ge=2)] = 32
    token_dim: Count = 128
    transformer: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(dim=192, depth=4, num_heads=3, mlp_ratio=4.0)
    )
    pooling: Literal["mean", "end"] = "mean"


class TextTransformer(nn.Module):
    """Tokens and learned positions through a transformer; mean over the tokens, or the last token's features."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.transformer.dim
        self.feature_dim = dim
        self.tokens = nn.Embedding(config.vocab_size, config.token_dim)
        self.widen = nn.Linear(config.token_dim, dim, bias=False)
        self.positions = nn.Parameter(torch.randn(config.length, dim) * 0.02)
        self.transformer = Transformer(config.transformer)
        nn.init.normal_(self.tokens.weight, std=1.0)
        nn.init.normal_(self.widen.weight, std=config.token_dim**-0.5 * 0.5)

    def forward(self, tokens: Tokens) -> Features:
        """Return one feature vector a text; texts of like length go through together, so that padding costs little."""
        if len(tokens) < _LEAST_GROUPED:
            return self.pool(self.sequence(tokens))
        order = (tokens != PADDING_TOKEN).sum(dim=1).argsort(stable=True)
        groups = [self.pool(self.sequence(tokens[group])) for group in order.chunk(_NUM_GROUPS)]
        return torch.cat(groups)[order.argsort()]

    def pool(self, sequence: Parts) -> Features:
        """Return one feature vector of the features of every token."""
        x, is_token = sequence.vectors, sequence.mask
        if self.config.pooling == "end":
            return x[torch.arange(len(x)), is_token.sum(dim=1) - 1]
        weight = is_token.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)

    def sequence(self, tokens: Tokens) -> Parts:
        """Return the features of every token, before the mean over them."""
        words = self.embed(tokens)
        return Parts(vectors=self.transformer(words.vectors, words.mask), mask=words.mask)

    def embed(self, tokens: Tokens) -> Parts:
        """Return what goes into the transformer: each token's vector and its position's, without columns of padding."""
        is_token = tokens != PADDING_TOKEN
        used = max(int(is_token.sum(dim=1).max()), 1) if len(tokens) else 1
        vectors = self.widen(self.tokens(tokens[:, :used])) + self.positions[:used]
        return Parts(vectors=vectors, mask=is_token[:, :used])
