"""The convolutional image trunk for a CPU: inverted residuals, https://arxiv.org/abs/1801.04381.

The default sizes are EfficientNet-Lite0: the stages of https://arxiv.org/abs/1905.11946, table 1, with ReLU6 in place
of SiLU and no squeeze-and-excitation. Blocks may be fused (https://arxiv.org/abs/2104.00298).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Depth, Finite, ImageSize, Positive, Whole
from limner.types import Features, Images

__all__ = [
    "LITE0_STAGES",
    "SMALL_STAGES",
    "InvertedResidual",
    "InvertedResidualConfig",
    "InvertedResidualStage",
    "InvertedResidualTrunk",
]

_NORM_EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True)
class InvertedResidualStage:
    """`num_blocks` equal blocks, the first of which changes the width to `dim` and has the stride.

    A fused block widens and mixes over space in one whole convolution: more arithmetic, of a kind that processors are
    much better at, so where the width is small it is several times as fast.
    """

    dim: Count
    num_blocks: Depth
    expansion: Count = 6
    stride: Count = 2
    kernel_size: Count = 3
    fused: bool = False


LITE0_STAGES = (
    InvertedResidualStage(dim=16, num_blocks=1, expansion=1, stride=1),
    InvertedResidualStage(dim=24, num_blocks=2),
    InvertedResidualStage(dim=40, num_blocks=2, kernel_size=5),
    InvertedResidualStage(dim=80, num_blocks=3),
    InvertedResidualStage(dim=112, num_blocks=3, stride=1, kernel_size=5),
    InvertedResidualStage(dim=192, num_blocks=4, kernel_size=5),
    InvertedResidualStage(dim=320, num_blocks=1, stride=1),
)
"""EfficientNet-Lite0: 3.4 M parameters with its head; the grid is 1/32 of the picture's side."""

SMALL_STAGES = (
    InvertedResidualStage(dim=48, num_blocks=1, expansion=2, fused=True),
    InvertedResidualStage(dim=96, num_blocks=2, expansion=2, fused=True),
    InvertedResidualStage(dim=192, num_blocks=1, expansion=2, fused=True),
)
"""For training from nothing on pictures of 32 to 64 pixels: 0.5 M parameters with a head of 384."""


@dataclass(frozen=True, kw_only=True)
class InvertedResidualConfig:
    """Sizes of the trunk; without a head (`head_dim` 0) the features are those of the last stage.

    `drop_path_rate` is how often the last residual branch is left out in training; earlier ones less, in proportion
    to their depth (https://arxiv.org/abs/1603.09382).
    """

    kind: Literal["inverted_residual"] = "inverted_residual"
    image_size: ImageSize = 128
    stem_dim: Count = 32
    stem_stride: Count = 2
    stages: tuple[InvertedResidualStage, ...] = LITE0_STAGES
    head_dim: Whole = 1280
    drop_path_rate: float = 0.0
    mean: tuple[Finite, Finite, Finite] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Check that there is a stage and that the rate is one."""
        if not self.stages:
            raise ValueError("stages is empty: give at least one stage")
        if not 0 <= self.drop_path_rate < 1:
            raise ValueError(f"drop_path_rate {self.drop_path_rate} is not in [0, 1)")

    @property
    def num_blocks(self) -> int:
        """The number of blocks of all stages."""
        return sum(stage.num_blocks for stage in self.stages)

    @property
    def grid_side(self) -> int:
        """The side of the grid of features."""
        side = -(-self.image_size // self.stem_stride)
        for stage in self.stages:
            side = -(-side // stage.stride)
        return side


class SameConv2d(nn.Conv2d):
    """A convolution whose output side is ceil(side / stride), with the odd pixel of padding on the right and below.

    `padding` of torch is symmetric, which shifts strided layers by a pixel against weights trained with this rule.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, *, stride: int = 1, groups: int = 1) -> None:
        centred = (kernel_size - 1) // 2 if stride == 1 else 0
        super().__init__(in_dim, out_dim, kernel_size, stride=stride, padding=centred, groups=groups, bias=False)

    def forward(self, x: Float[Tensor, "batch in_dim height width"]) -> Float[Tensor, "batch out_dim rows columns"]:
        """Pad as the size asks, then convolve."""
        if self.stride[0] > 1:
            top, bottom = self._margins(x.shape[-2])
            left, right = self._margins(x.shape[-1])
            x = functional.pad(x, (left, right, top, bottom))
        if self.groups == 1 or x.device.type != "cpu":
            return super().forward(x)
        # On a CPU the gradient of a depthwise convolution takes several times as long in bfloat16 as in float32.
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())

    def _margins(self, side: int) -> tuple[int, int]:
        stride, kernel_size = self.stride[0], self.kernel_size[0]
        total = max((-(-side // stride) - 1) * stride + kernel_size - side, 0)
        return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """Widen by a 1 x 1 convolution, mix each channel over space, narrow without an activation, add the input."""

    def __init__(self, in_dim: int, stage: InvertedResidualStage, *, stride: int, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        hidden_dim = in_dim * stage.expansion
        self.is_residual = stride == 1 and in_dim == stage.dim
        self.drop_path_rate = drop_path_rate
        if stage.fused:
            self.expand: nn.Module = _normed(SameConv2d(in_dim, hidden_dim, stage.kernel_size, stride=stride))
            self.depthwise: nn.Module = nn.Identity()
        else:
            self.expand = _normed(SameConv2d(in_dim, hidden_dim, 1)) if stage.expansion > 1 else nn.Identity()
            self.depthwise = _normed(
                SameConv2d(hidden_dim, hidden_dim, stage.kernel_size, stride=stride, groups=hidden_dim)
            )
        self.narrow = _normed(SameConv2d(hidden_dim, stage.dim, 1), activated=False)

    def forward(self, x: Float[Tensor, "batch in_dim height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Return the block's output grid."""
        branch = self.narrow(self.depthwise(self.expand(x)))
        if not self.is_residual:
            return branch
        if self.training and self.drop_path_rate:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_path_rate
            branch = branch * (kept / (1 - self.drop_path_rate)).to(branch.dtype)
        return x + branch


class InvertedResidualTrunk(nn.Module):
    """Stem, stages, head, and the mean over the grid."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: InvertedResidualConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.stem_dim
        self.stem = _normed(SameConv2d(3, dim, 3, stride=config.stem_stride))
        blocks: list[nn.Module] = []
        for stage in config.stages:
            for position in range(stage.num_blocks):
                stride = stage.stride if position == 0 else 1
                rate = config.drop_path_rate * len(blocks) / max(config.num_blocks - 1, 1)
                blocks.append(InvertedResidual(dim, stage, stride=stride, drop_path_rate=rate))
                dim = stage.dim
        self.blocks = nn.Sequential(*blocks)
        self.head = _normed(SameConv2d(dim, config.head_dim, 1)) if config.head_dim else nn.Identity()
        self.feature_dim = config.head_dim or dim
        self.register_buffer("mean", rearrange(torch.tensor(config.mean), "c -> 1 c 1 1"), persistent=False)
        self.register_buffer("std", rearrange(torch.tensor(config.std), "c -> 1 c 1 1"), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Images) -> Features:
        """Return one feature vector a picture; images are RGB in [0, 1], of any size."""
        return self.grid(images).mean(dim=(2, 3))

    def sequence(self, images: Images) -> Float[Tensor, "batch length feature_dim"]:
        """Return the features of every place of the grid, row by row."""
        return self.encode(images)[1]

    def encode(self, images: Images) -> tuple[Features, Float[Tensor, "batch length feature_dim"]]:
        """Return the features of the picture, and those of every place, in one pass."""
        grid = self.grid(images)
        return grid.mean(dim=(2, 3)), rearrange(grid, "b c h w -> b (h w) c")

    def grid(self, images: Images) -> Float[Tensor, "batch feature_dim rows columns"]:
        """Return the features of every place of the picture, before the mean over them."""
        return self.grids(images, len(self.blocks))[1]

    def grids(
        self, images: Images, num_blocks: int
    ) -> tuple[Float[Tensor, "batch dim rows columns"], Float[Tensor, "batch feature_dim _ _"]]:
        """Return the finer grid after the first blocks and that of the whole trunk, in one pass."""
        # Channels-last halves the time of the depthwise convolutions on a CPU.
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        early = self.blocks[:num_blocks](self.stem(x))
        return early, self.head(self.blocks[num_blocks:](early))

    def dim_after(self, num_blocks: int) -> int:
        """Return the width of the grid after the first blocks."""
        dims = [stage.dim for stage in self.config.stages for _ in range(stage.num_blocks)]
        return dims[num_blocks - 1]


def _normed(convolution: nn.Conv2d, *, activated: bool = True) -> nn.Sequential:
    norm = nn.BatchNorm2d(convolution.out_channels, eps=_NORM_EPSILON)
    return nn.Sequential(convolution, norm, nn.ReLU6(inplace=True)) if activated else nn.Sequential(convolution, norm)
