"""Pictures changed at random, a whole batch at once, each picture by numbers drawn from its own seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from limner.config import NotNegative, Positive, Share
from limner.types import Images

__all__ = ["UNCHANGED", "AugmentationConfig", "augment", "keeping_colours", "luminance"]

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How far pictures are moved, recoloured and put on other grounds; every rate is the share of pictures changed.

    `zoom` is the range of sizes relative to the frame, `rotation_degrees` and `shift` the largest turn and move (in
    frames), `contrast` and `saturation` the largest relative change, `hue_degrees` the largest turn of the hues.
    """

    zoom: tuple[Positive, Positive] = (0.75, 1.15)
    stretch: NotNegative = 0.1
    rotation_degrees: NotNegative = 12.0
    shift: NotNegative = 0.08
    flip_rate: Share = 0.3
    brightness: NotNegative = 0.15
    contrast: NotNegative = 0.3
    saturation: NotNegative = 0.4
    hue_degrees: NotNegative = 12.0
    grey_rate: Share = 0.1
    ground_rate: Share = 0.2
    invert_rate: Share = 0.0
    outline_rate: Share = 0.0
    ink_rate: Share = 0.0
    erase_rate: Share = 0.1


UNCHANGED = AugmentationConfig(
    zoom=(1.0, 1.0),
    stretch=0.0,
    rotation_degrees=0.0,
    shift=0.0,
    flip_rate=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue_degrees=0.0,
    grey_rate=0.0,
    ground_rate=0.0,
    erase_rate=0.0,
)
"""Pictures as they are; `replace(UNCHANGED, flip_rate=0.5)` mirrors half of them and leaves the rest."""


def luminance(images: Images) -> Float[Tensor, "batch 1 height width"]:
    """Return how light every pixel of pictures is (Rec. 601)."""
    return torch.einsum("c,bchw->bhw", torch.tensor(_LUMA), images).unsqueeze(1)


def keeping_colours(config: AugmentationConfig) -> AugmentationConfig:
    """Return the same changes, but for those after which a colour has another name."""
    return replace(
        config,
        saturation=min(config.saturation, 0.15),
        hue_degrees=min(config.hue_degrees, 4.0),
        contrast=min(config.contrast, 0.1),
        brightness=min(config.brightness, 0.1),
        grey_rate=0.0,
        outline_rate=0.0,
        invert_rate=0.0,
    )


def augment(images: Images, seeds: Sequence[tuple[int, ...]], config: AugmentationConfig) -> Images:
    """Return changed copies of pictures in [0, 1]; row i depends only on its pixels and `seeds[i]`."""
    if config == UNCHANGED:
        return images
    draws = np.stack([np.random.Generator(np.random.Philox(_key(seed))).random(24, dtype=np.float32) for seed in seeds])
    images = _outline(images, draws[:, 20], config)
    images = _move(images, draws[:, :7], config)
    images = _recolour(images, draws[:, 7:12], config)
    images = _ground(images, draws[:, 12:16], config)
    inverted = rearrange(torch.from_numpy(draws[:, 21] < config.invert_rate), "b -> b 1 1 1")
    images = torch.where(inverted, 1 - images, images)
    return _erase(images, draws[:, 16:20], config).clamp(0, 1)


def _key(seed: tuple[int, ...]) -> int:
    return int.from_bytes(b"".join(int(part).to_bytes(8, "little") for part in seed)[:16], "little")


def _between(draw: Float32[np.ndarray, " batch"], low: float, high: float) -> Tensor:
    return torch.from_numpy(low + (high - low) * draw)


def _move(images: Images, draws: Float32[np.ndarray, "batch 7"], config: AugmentationConfig) -> Images:
    """Zoom, stretch, turn, shift and mirror; what comes into the frame is white."""
    zoom = torch.exp(_between(draws[:, 0], math.log(config.zoom[0]), math.log(config.zoom[1])))
    stretch = torch.exp(_between(draws[:, 1], -config.stretch, config.stretch))
    angle = _between(draws[:, 2], -1.0, 1.0) * math.radians(config.rotation_degrees)
    mirror = torch.from_numpy(np.where(draws[:, 3] < config.flip_rate, -1.0, 1.0).astype(np.float32))
    rows = [
        torch.stack([mirror * angle.cos() / zoom * stretch, -angle.sin() / zoom, _between(draws[:, 4], -1, 1)], 1),
        torch.stack([mirror * angle.sin() / zoom, angle.cos() / zoom / stretch, _between(draws[:, 5], -1, 1)], 1),
    ]
    affine = torch.stack(rows, dim=1)
    affine[:, :, 2] *= 2 * config.shift
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return 1 - functional.grid_sample(1 - images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _recolour(images: Images, draws: Float32[np.ndarray, "batch 5"], config: AugmentationConfig) -> Images:
    """Turn the hues about the grey axis, change saturation, contrast and brightness, or make the picture grey."""
    grey = torch.tensor(_LUMA)
    saturation = 1 + _between(draws[:, 0], -config.saturation, config.saturation)
    saturation = torch.where(torch.from_numpy(draws[:, 1] < config.grey_rate), torch.zeros_like(saturation), saturation)
    angle = _between(draws[:, 2], -1.0, 1.0) * math.radians(config.hue_degrees)
    turn = _hue_turn(angle)
    to_grey = grey.expand(3, 3)
    keep = rearrange(saturation, "b -> b 1 1")
    matrix = (keep * torch.eye(3) + (1 - keep) * to_grey) @ turn
    images = torch.einsum("bij,bjhw->bihw", matrix, images)
    contrast = rearrange(1 + _between(draws[:, 3], -config.contrast, config.contrast), "b -> b 1 1 1")
    brightness = rearrange(_between(draws[:, 4], -config.brightness, config.brightness), "b -> b 1 1 1")
    # White stays white: the ground of a drawing says nothing about its light.
    return (1 - (1 - images) * contrast * (1 - brightness)).clamp(0, 1)


def _hue_turn(angle: Float[Tensor, " batch"]) -> Float[Tensor, "batch 3 3"]:
    """Return rotations about (1, 1, 1) by Rodrigues' formula."""
    axis = 1 / math.sqrt(3)
    cross = torch.tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])
    sine, cosine = rearrange(angle.sin(), "b -> b 1 1"), rearrange(angle.cos(), "b -> b 1 1")
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def _ground(images: Images, draws: Float32[np.ndarray, "batch 4"], config: AugmentationConfig) -> Images:
    """Put some pictures on a coloured ground, as if white were transparent."""
    chosen = rearrange(torch.from_numpy(draws[:, 0] < config.ground_rate), "b -> b 1 1 1")
    colour = rearrange(torch.from_numpy(draws[:, 1:4]), "b c -> b c 1 1")
    whiteness = images.amin(dim=1, keepdim=True).pow(8)
    return torch.where(chosen, images * (1 - whiteness) + colour * whiteness, images)


def _outline(images: Images, draws: Float32[np.ndarray, " batch"], config: AugmentationConfig) -> Images:
    """Draw some pictures by their edges alone, black on white, and some with their edges inked over the colours."""
    alone = torch.from_numpy(draws < config.outline_rate)
    chosen = torch.from_numpy(draws < config.outline_rate + config.ink_rate)
    if not bool(chosen.any()):
        return images
    grey = luminance(images[chosen])
    high = functional.max_pool2d(grey, 3, stride=1, padding=1)
    low = -functional.max_pool2d(-grey, 3, stride=1, padding=1)
    lines = (1 - ((high - low) * 2.5).clamp(0, 1)).expand(-1, 3, -1, -1)
    changed = images.clone()
    changed[chosen] = torch.where(rearrange(alone[chosen], "b -> b 1 1 1"), lines, lines * images[chosen])
    return changed


def _erase(images: Images, draws: Float32[np.ndarray, "batch 4"], config: AugmentationConfig) -> Images:
    """Cover a rectangle of some pictures with grey (https://arxiv.org/abs/1708.04896)."""
    height, width = images.shape[-2:]
    y, x = torch.arange(height)[None, :, None] / height, torch.arange(width)[None, None, :] / width
    top, left, size = (rearrange(torch.from_numpy(draws[:, column]), "b -> b 1 1") for column in (1, 2, 3))
    size = 0.1 + 0.2 * size
    inside = (y >= top) & (y < top + size) & (x >= left) & (x < left + size)
    chosen = rearrange(torch.from_numpy(draws[:, 0] < config.erase_rate), "b -> b 1 1")
    return images.masked_fill((inside & chosen).unsqueeze(1), 0.5)
