"""The vision transformer: a picture as a sequence of patches, https://arxiv.org/abs/2010.11929."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Finite, ImageSize, Positive, Share
from limner.nn.transformer import Transformer, TransformerConfig
from limner.types import Features, Images

__all__ = ["VisionTransformer", "VisionTransformerConfig", "stretched"]


@dataclass(frozen=True, kw_only=True)
class VisionTransformerConfig:
    """Sizes of a vision transformer; `patch_dropout_rate` is the share of patches left out of a training step.

    DINO's positions are stretched over a grid that is `stretch_margin`, 0.1, larger than it is, on each side.
    """

    kind: Literal["vit"] = "vit"
    image_size: ImageSize = 64
    patch_size: ImageSize = 8
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    patch_dropout_rate: float = 0.0
    pooling: Literal["mean", "class"] = "mean"
    stretch_margin: Share = 0.0
    mean: tuple[Finite, Finite, Finite] = (0.5, 0.5, 0.5)
    std: tuple[Positive, Positive, Positive] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        """Check that the patches tile the picture."""
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")
        if not 0 <= self.patch_dropout_rate < 1:
            raise ValueError(f"patch_dropout_rate {self.patch_dropout_rate} is not in [0, 1)")


class VisionTransformer(nn.Module):
    """Patches, a class token and learned positions through a transformer; mean of the patches, or the class token."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.transformer.dim
        self.feature_dim = dim
        grid_size = config.image_size // config.patch_size
        self.patches = nn.Sequential(
            nn.Conv2d(3, dim, config.patch_size, stride=config.patch_size), Rearrange("b c h w -> b (h w) c")
        )
        self.class_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 1 + grid_size**2, dim) * 0.02)
        self.transformer = Transformer(config.transformer)
        self.register_buffer("mean", rearrange(torch.tensor(config.mean), "c -> 1 c 1 1"), persistent=False)
        self.register_buffer("std", rearrange(torch.tensor(config.std), "c -> 1 c 1 1"), persistent=False)

    def forward(self, images: Images) -> Features:
        """Return one feature vector a picture; images are RGB in [0, 1]."""
        return self.encode(images)[0]

    def sequence(self, images: Images) -> Float[Tensor, "batch length feature_dim"]:
        """Return the features of every patch (in training, of those that are kept)."""
        return self.encode(images)[1]

    def encode(self, images: Images) -> tuple[Features, Float[Tensor, "batch length feature_dim"]]:
        """Return the features of the picture, and those of every patch, in one pass."""
        return self.pooled(self.transformer(self.embed(images)))

    def halfway(self, images: Images, num_blocks: int) -> tuple[Features, Float[Tensor, "batch length feature_dim"]]:
        """Return the features of the picture, and what its class token and patches are after the first blocks."""
        early = self.transformer.first(self.embed(images), num_blocks)
        return self.pooled(self.transformer.last(early, after=num_blocks))[0], early

    def embed(self, images: Images) -> Float[Tensor, "batch length feature_dim"]:
        """Return what the first block reads: the class token, then the patches (in training, those that are kept).

        For a picture of another size than the config's, such as two stacked ones, the positions are stretched over it.
        """
        patches = self.patches((images - self.mean) / self.std)
        size = self.config.patch_size
        rows, columns = images.shape[2] // size, images.shape[3] // size
        patches = patches + stretched(self.positions[:, 1:], rows, columns, margin=self.config.stretch_margin)
        if self.training and self.config.patch_dropout_rate:
            patches = self._drop_patches(patches)
        class_token = (self.class_token + self.positions[:, :1]).expand(len(images), -1, -1)
        return torch.cat([class_token, patches], dim=1)

    def pooled(
        self, x: Float[Tensor, "batch length feature_dim"]
    ) -> tuple[Features, Float[Tensor, "batch patches feature_dim"]]:
        """Return the features of the picture, and those of every patch, of what the last block wrote."""
        return x[:, 0] if self.config.pooling == "class" else x[:, 1:].mean(dim=1), x[:, 1:]

    def _drop_patches(self, patches: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch kept dim"]:
        """Keep a random part of the patches of each picture (FLIP, https://arxiv.org/abs/2212.00794)."""
        batch, length, dim = patches.shape
        num_kept = max(1, round(length * (1 - self.config.patch_dropout_rate)))
        kept = torch.rand(batch, length, device=patches.device).topk(num_kept, dim=1).indices
        return patches.gather(1, kept.unsqueeze(-1).expand(-1, -1, dim))


def stretched(
    positions: Float[Tensor, "1 places dim"], rows: int, columns: int, *, margin: float = 0.0
) -> Float[Tensor, "1 _ dim"]:
    """Return the positions of a square grid, bicubically resized to another grid (as in DINO, arXiv:2104.14294).

    With a `margin` below 1 they are resized as if to that many places more each way, and those of the grid are kept.
    """
    side = round(positions.shape[1] ** 0.5)
    if (rows, columns) == (side, side):
        return positions
    grid = rearrange(positions, "1 (h w) c -> 1 c h w", h=side)
    if margin:
        factors = ((rows + margin) / side, (columns + margin) / side)
        grid = functional.interpolate(grid, scale_factor=factors, mode="bicubic", align_corners=False)
    else:
        grid = functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
    return rearrange(grid, "1 c h w -> 1 (h w) c")
