"""An encoder and decoder for small pictures on a CPU: convolutions on the large grids, a transformer on the code grid.

Few codes must say much each, so every place of the code grid looks at all others; edges are the convolutions' work.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn

from limner.config import Count, ImageSize, Whole
from limner.nn.transformer import Transformer, TransformerConfig
from limner.types import Images

__all__ = ["HybridConfig", "HybridDecoder", "HybridEncoder", "HybridStage"]


@dataclass(frozen=True, kw_only=True)
class HybridStage:
    """Residual blocks of one width on one grid, in the encoder and in the decoder."""

    dim: Count
    num_encoder_blocks: Whole = 1
    num_decoder_blocks: Whole = 1


@dataclass(frozen=True, kw_only=True)
class HybridConfig:
    """Sizes of both networks.

    Squares of `patch_size` pixels are read, and written, by one convolution each; the grid of each stage, from fine to
    coarse, has half the side of the one before it, and the code grid half the side of the last.
    """

    kind: Literal["hybrid"] = "hybrid"
    patch_size: ImageSize = 2
    stages: tuple[HybridStage, ...] = (HybridStage(dim=32), HybridStage(dim=64))
    code_dim: Count = 64
    encoder: TransformerConfig = field(default_factory=lambda: TransformerConfig(dim=128, depth=1))
    decoder: TransformerConfig = field(default_factory=lambda: TransformerConfig(dim=128, depth=2))

    def __post_init__(self) -> None:
        """Check that there is a stage."""
        if not self.stages:
            raise ValueError("stages is empty: give at least one stage")

    @property
    def factor(self) -> int:
        """How many pixels the side of a place of the code grid spans."""
        return self.patch_size << len(self.stages)


class ResidualBlock(nn.Module):
    """Two convolutions added to the input; at the start the block changes little."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim, dim, 3, padding=1)
        self.second = nn.Conv2d(dim, dim, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.1 * (9 * dim) ** -0.5)

    def forward(self, x: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch dim rows columns"]:
        """Return the block's output grid."""
        return x + self.second(self.first(x.relu()).relu())


class GridTransformer(nn.Module):
    """A transformer over the places of a grid, with a learned position each."""

    def __init__(self, config: TransformerConfig, grid_size: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, grid_size**2, config.dim) * 0.02)
        self.transformer = Transformer(config)

    def forward(self, x: Float[Tensor, "batch dim rows columns"]) -> Float[Tensor, "batch dim rows columns"]:
        """Return the features of every place."""
        rows = x.shape[2]
        x = self.transformer(rearrange(x, "b d r c -> b (r c) d") + self.positions)
        return rearrange(x, "b (r c) d -> b d r c", r=rows)


class HybridEncoder(nn.Module):
    """Pictures to a grid of features."""

    def __init__(self, config: HybridConfig, grid_size: int) -> None:
        super().__init__()
        patch_size = config.patch_size
        dims = [stage.dim for stage in config.stages] + [config.encoder.dim]
        self.feature_dim = dims[-1]
        layers: list[nn.Module] = [
            Rearrange("b c (h p) (w q) -> b (c p q) h w", p=patch_size, q=patch_size),
            nn.Conv2d(3 * patch_size**2, dims[0], 3, padding=1),
        ]
        for stage, (before, after) in zip(config.stages, pairwise(dims), strict=True):
            layers += [ResidualBlock(before) for _ in range(stage.num_encoder_blocks)]
            layers += [nn.ReLU(), nn.Conv2d(before, after, 4, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers)
        self.grid = GridTransformer(config.encoder, grid_size)

    def forward(self, images: Images) -> Float[Tensor, "batch feature_dim rows columns"]:
        """Return the features of every place of the code grid."""
        return self.grid(self.convolutions(images.contiguous(memory_format=torch.channels_last)))


class HybridDecoder(nn.Module):
    """A grid of code vectors to a grid of `out_channels` numbers a pixel."""

    def __init__(self, config: HybridConfig, grid_size: int, out_channels: int) -> None:
        super().__init__()
        patch_size = config.patch_size
        self.stem = nn.Conv2d(config.code_dim, config.decoder.dim, 1)
        self.grid = GridTransformer(config.decoder, grid_size)
        dims = [config.decoder.dim] + [stage.dim for stage in config.stages[::-1]]
        layers: list[nn.Module] = []
        for stage, (before, after) in zip(config.stages[::-1], pairwise(dims), strict=True):
            layers += [nn.Conv2d(before, 4 * after, 1), nn.PixelShuffle(2)]
            layers += [ResidualBlock(after) for _ in range(stage.num_decoder_blocks)]
        layers += [nn.ReLU(), nn.Conv2d(dims[-1], out_channels * patch_size**2, 3, padding=1)]
        self.convolutions = nn.Sequential(*layers, nn.PixelShuffle(patch_size))

    def forward(
        self, vectors: Float[Tensor, "batch code_dim rows columns"]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Return the numbers of every pixel."""
        x = self.grid(self.stem(vectors))
        return self.convolutions(x.contiguous(memory_format=torch.channels_last))
