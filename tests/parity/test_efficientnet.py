"""Our trunk against the published network written out step by step over weights with the published names."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.errors import ModelError
from limner.interop import efficientnet
from limner.interop.efficientnet import efficientnet_key_map, load_efficientnet_weights
from limner.nn.inverted_residual import LITE0_STAGES, InvertedResidualConfig, InvertedResidualTrunk


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    trunk = InvertedResidualTrunk(InvertedResidualConfig())
    tensors = trunk.state_dict()
    published = {}
    for ours, theirs in efficientnet_key_map(trunk).items():
        tensor = tensors[ours]
        if theirs.endswith(("running_mean", "bias")):
            tensor = torch.randn_like(tensor) * 0.1
        elif theirs.endswith("running_var") or (tensor.ndim == 1 and tensor.is_floating_point()):
            tensor = torch.rand_like(tensor) + 0.5
        published[theirs] = tensor
    return published


def published_features(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network of the paper's table 1, one operation after the other."""

    def convolve(x: Tensor, name: str, norm: str, *, stride: int = 1, activated: bool = True) -> Tensor:
        kernel = weights[f"{name}.weight"]
        groups = x.shape[1] if kernel.shape[1] == 1 else 1
        total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel.shape[-1] - x.shape[-1], 0)
        x = functional.pad(x, (total // 2, total - total // 2) * 2)
        x = functional.conv2d(x, kernel, stride=stride, groups=groups)
        mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        x = functional.batch_norm(x, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"], eps=1e-3)
        return x.clamp(0, 6) if activated else x

    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    number = 0
    for stage in LITE0_STAGES:
        for position in range(stage.num_blocks):
            block, y = f"_blocks.{number}.", x
            if stage.expansion > 1:
                y = convolve(y, f"{block}_expand_conv", f"{block}_bn0")
            stride = stage.stride if position == 0 else 1
            y = convolve(y, f"{block}_depthwise_conv", f"{block}_bn1", stride=stride)
            y = convolve(y, f"{block}_project_conv", f"{block}_bn2", activated=False)
            x = x + y if position > 0 else y
            number += 1
    return convolve(x, "_conv_head", "_bn1").mean(dim=(2, 3))


@pytest.mark.parametrize("side", [64, 100])
def test_features_equal_the_published_network(weights: dict[str, Tensor], side: int) -> None:
    trunk = InvertedResidualTrunk(InvertedResidualConfig()).eval()
    load_efficientnet_weights(trunk, weights)
    images = torch.rand(2, 3, side, side)
    expected = published_features(weights, (images - trunk.mean) / trunk.std)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), expected, rtol=1e-4, atol=1e-4)


def test_other_sizes_are_refused(weights: dict[str, Tensor]) -> None:
    trunk = InvertedResidualTrunk(InvertedResidualConfig(stem_dim=24))
    with pytest.raises(ModelError, match="default sizes"):
        load_efficientnet_weights(trunk, weights)


def test_missing_tensors_are_named(weights: dict[str, Tensor]) -> None:
    trunk = InvertedResidualTrunk(InvertedResidualConfig())
    with pytest.raises(ModelError, match="_conv_stem"):
        load_efficientnet_weights(trunk, {k: v for k, v in weights.items() if k != "_conv_stem.weight"})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "_PACKAGE", "limner_has_no_such_teacher")
    with pytest.raises(ModelError, match=r"limner\[teachers\]"):
        efficientnet.efficientnet_lite0_path()


def test_the_weight_file_is_found_inside_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "some_teacher").mkdir()
    (tmp_path / "some_teacher" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(efficientnet, "_PACKAGE", "some_teacher")
    assert efficientnet.efficientnet_lite0_path().parent.parent == tmp_path / "some_teacher"
