"""The dVAE's convolutional encoder and decoder as published, https://arxiv.org/abs/2102.12092, appendix A.1.

Groups of bottleneck blocks without normalisation; max-pooling halves the grid between groups of the encoder, nearest
neighbours double it between groups of the decoder. With the default sizes the weights are those of OpenAI's package
`dall_e` (`interop/openai_dvae.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
from einops.layers.torch import Rearrange
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from limner.config import Count, ImageSize
from limner.types import Images

__all__ = ["BottleneckConfig", "BottleneckDecoder", "BottleneckEncoder"]

_FIRST_KERNEL = 7


@dataclass(frozen=True, kw_only=True)
class BottleneckConfig:
    """Sizes of both networks: group n of the encoder is `hidden_dim` 2^n wide.

    With a `patch_size` above 1, squares of so many pixels are read, and written, by one convolution each: less of the
    work is done on large grids.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    hidden_dim: Count = 256
    num_groups: Annotated[int, Field(ge=1, le=8)] = 4
    num_blocks: Count = 2
    code_dim: Count = 128
    patch_size: ImageSize = 1

    def __post_init__(self) -> None:
        """Check that a quarter of each width is whole."""
        if self.hidden_dim % 4:
            raise ValueError(f"hidden_dim {self.hidden_dim} is not a multiple of 4")

    @property
    def factor(self) -> int:
        """How many pixels the side of a place of the code grid spans."""
        return self.patch_size << (self.num_groups - 1)

    @property
    def widths(self) -> list[int]:
        """The widths of the encoder's groups."""
        return [self.hidden_dim << group for group in range(self.num_groups)]


class BottleneckBlock(nn.Module):
    """Four convolutions through a quarter of the width, added to the input with a small constant gain.

    `kernel_sizes` are 3, 3, 3, 1 in the encoder and 1, 3, 3, 3 in the decoder.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_sizes: tuple[int, ...], *, gain: float) -> None:
        super().__init__()
        dims = [in_dim, *[out_dim // 4] * 3, out_dim]
        self.gain = gain
        self.identity = _convolution(in_dim, out_dim, 1) if in_dim != out_dim else nn.Identity()
        self.convolutions = nn.ModuleList(
            _convolution(before, after, size)
            for (before, after), size in zip(pairwise(dims), kernel_sizes, strict=True)
        )

    def forward(self, x: Float[Tensor, "batch in_dim rows columns"]) -> Float[Tensor, "batch out_dim rows columns"]:
        """Return the block's output grid."""
        branch = x
        for convolution in self.convolutions:
            branch = convolution(branch.relu())
        return self.identity(x) + self.gain * branch


class BottleneckEncoder(nn.Module):
    """Pictures to a grid of features."""

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        patch_size, widths = config.patch_size, config.widths
        self.feature_dim = widths[-1]
        self.patches: nn.Module = nn.Identity()
        self.stem = _convolution(3, widths[0], _FIRST_KERNEL)
        if patch_size > 1:
            self.patches = Rearrange("b c (h p) (w q) -> b (c p q) h w", p=patch_size, q=patch_size)
            self.stem = _convolution(3 * patch_size**2, widths[0], 3)
        self.groups = _groups(widths, config, (3, 3, 3, 1))
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Images) -> Float[Tensor, "batch feature_dim rows columns"]:
        """Return the features of every place of the code grid."""
        x = self.stem(self.patches(images).contiguous(memory_format=torch.channels_last))
        for place, group in enumerate(self.groups):
            x = group(self.pool(x) if place else x)
        return x.relu()


class BottleneckDecoder(nn.Module):
    """A grid of code vectors to a grid of `out_channels` numbers a pixel."""

    def __init__(self, config: BottleneckConfig, out_channels: int) -> None:
        super().__init__()
        patch_size, widths = config.patch_size, config.widths[::-1]
        self.groups = _groups([config.code_dim, *widths], config, (1, 3, 3, 3), starts_wide=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = _convolution(widths[-1], out_channels * patch_size**2, 1 if patch_size == 1 else 3)
        self.pixels = nn.PixelShuffle(patch_size) if patch_size > 1 else nn.Identity()

    def forward(
        self, vectors: Float[Tensor, "batch code_dim rows columns"]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Return the numbers of every pixel."""
        x = vectors.contiguous(memory_format=torch.channels_last)
        for place, group in enumerate(self.groups):
            x = group(self.upsample(x) if place else x)
        return self.pixels(self.head(x.relu()))


def _groups(
    widths: list[int], config: BottleneckConfig, kernel_sizes: tuple[int, ...], *, starts_wide: bool = True
) -> nn.ModuleList:
    gain = 1 / (config.num_groups * config.num_blocks) ** 2

    def blocks(before: int, after: int) -> Iterator[nn.Module]:
        for number in range(config.num_blocks):
            yield BottleneckBlock(before if number == 0 else after, after, kernel_sizes, gain=gain)

    steps = pairwise([widths[0], *widths] if starts_wide else widths)
    return nn.ModuleList(nn.Sequential(*blocks(before, after)) for before, after in steps)


def _convolution(in_dim: int, out_dim: int, kernel_size: int) -> nn.Conv2d:
    """Return a convolution that keeps the grid, started from N(0, 1 / fan-in) and a bias of 0."""
    convolution = nn.Conv2d(in_dim, out_dim, kernel_size, padding=kernel_size // 2)
    nn.init.normal_(convolution.weight, std=(in_dim * kernel_size**2) ** -0.5)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution
