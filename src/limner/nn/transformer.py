"""The transformer, pre-norm: x + Attention(LN(x)), then x + MLP(LN(x)), https://arxiv.org/abs/1706.03762."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Positive, Share
from limner.nn.key_value_cache import KeyValueCache, LayerCache

__all__ = ["AttentionMask", "SelfAttention", "Transformer", "TransformerBlock", "TransformerConfig"]

AttentionMask: TypeAlias = Bool[Tensor, "batch length"] | Bool[Tensor, "#batch length keys"]
Queries = Float[Tensor, "batch heads length dim"]
Keys = Float[Tensor, "batch heads keys dim"]

_MAX_DEPTH = 512
_SHORT = 256


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of a stack of transformer blocks."""

    dim: Count = 256
    depth: int = 6
    num_heads: Count = 4
    mlp_ratio: Positive = 4.0
    dropout_rate: Share = 0.0
    norm_epsilon: Positive = 1e-5

    def __post_init__(self) -> None:
        """Check that the sizes fit each other."""
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of num_heads {self.num_heads}")
        if not 0 < self.depth <= _MAX_DEPTH:
            raise ValueError(f"depth {self.depth} is not between 1 and {_MAX_DEPTH}")


class SelfAttention(nn.Module):
    """Multi-head self-attention: softmax(q k^T / sqrt(d)) v in each head."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(
        self,
        x: Float[Tensor, "batch length dim"],
        mask: AttentionMask | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch length dim"]:
        """Mix positions; `mask` is true where a position may be looked at, by all positions or by each (row).

        With a `cache`, the positions of `x` come behind those that are in it, and look at those too.
        """
        q, k, v = rearrange(
            self.qkv(x),
            "batch length (three heads dim) -> three batch heads length dim",
            three=3,
            heads=self.num_heads,
        )
        if cache is not None:
            k, v = cache.extend(k, v)
        seen = mask if mask is None else mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
        attend = _plain_attention if _is_slow_fused(q, k) else functional.scaled_dot_product_attention
        return self.out(rearrange(attend(q, k, v, seen), "batch heads length dim -> batch length (heads dim)"))


def _is_slow_fused(q: Queries, k: Keys) -> bool:
    """Say whether plain products are quicker: those of short sequences on a processor in bfloat16, with a way back."""
    return q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad and k.shape[-2] <= _SHORT


def _plain_attention(q: Queries, k: Keys, v: Keys, seen: Bool[Tensor, "..."] | None) -> Queries:
    scores = q * q.shape[-1] ** -0.5 @ k.mT
    if seen is not None:
        hidden = torch.zeros_like(seen, dtype=q.dtype).masked_fill(~seen, torch.finfo(q.dtype).min)
        scores = scores + hidden
    return scores.softmax(dim=-1) @ v


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        hidden_dim = int(config.dim * config.mlp_ratio)
        self.attention_norm = nn.LayerNorm(config.dim, eps=config.norm_epsilon)
        self.attention = SelfAttention(config)
        self.mlp_norm = nn.LayerNorm(config.dim, eps=config.norm_epsilon)
        self.mlp = nn.Sequential(nn.Linear(config.dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, config.dim))
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(
        self,
        x: Float[Tensor, "batch length dim"],
        mask: AttentionMask | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch length dim"]:
        """Return the block's output at every position."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, cache))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class Transformer(nn.Module):
    """A stack of blocks and a last layer norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_epsilon)
        for name, parameter in self.named_parameters():
            # Residual branches start small, so that a deep stack starts near the identity (GPT-2, section 2.3).
            if name.endswith(("out.weight", "mlp.2.weight")):
                nn.init.normal_(parameter, std=0.02 / (2 * config.depth) ** 0.5)
            elif name.endswith("weight") and parameter.ndim == 2:
                nn.init.normal_(parameter, std=config.dim**-0.5)

    def forward(
        self,
        x: Float[Tensor, "batch length dim"],
        mask: AttentionMask | Sequence[AttentionMask | None] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "batch length dim"]:
        """Return the features of every position; `mask` may be one for each block.

        With a `cache`, the positions of `x` come behind those read before, and are in it afterwards.
        """
        masks = [mask] * len(self.blocks) if mask is None or isinstance(mask, Tensor) else mask
        for number, (block, its_mask) in enumerate(zip(self.blocks, masks, strict=True)):
            x = block(x, its_mask, None if cache is None else cache.layer(number))
        if cache is not None:
            cache.num_read += x.shape[1]
        return self.norm(x)

    def first(self, x: Float[Tensor, "batch length dim"], num_blocks: int) -> Float[Tensor, "batch length dim"]:
        """Return what stands after the first blocks, for `last` to go on from."""
        for block in self.blocks[:num_blocks]:
            x = block(x)
        return x

    def last(self, x: Float[Tensor, "batch length dim"], *, after: int) -> Float[Tensor, "batch length dim"]:
        """Return the features of every position from what stands after that many blocks."""
        for block in self.blocks[after:]:
            x = block(x)
        return self.norm(x)
