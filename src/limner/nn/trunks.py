"""The image trunks that a model can have, by the kind of their config."""

from collections.abc import Callable
from typing import Any

from torch import nn

from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualTrunk
from limner.nn.vision import VisionTransformer, VisionTransformerConfig

__all__ = ["TRUNKS", "VisionConfig", "build_vision"]

VisionConfig = VisionTransformerConfig | InvertedResidualConfig

TRUNKS: dict[str, Callable[[Any], nn.Module]] = {
    "inverted_residual": InvertedResidualTrunk,
    "vit": VisionTransformer,
}


def build_vision(config: VisionConfig) -> Any:
    """Return the trunk of a config: `trunk(images)` are features of pictures, `sequence` those of every place.

    `encode` returns both.
    """
    return TRUNKS[config.kind](config)
