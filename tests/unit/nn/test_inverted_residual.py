from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from limner.nn.inverted_residual import (
    _NORM_EPSILON,
    SMALL_STAGES,
    InvertedResidual,
    InvertedResidualConfig,
    InvertedResidualStage,
    InvertedResidualTrunk,
    SameConv2d,
)

SMALL = InvertedResidualConfig(image_size=32, stem_dim=24, stages=SMALL_STAGES, head_dim=384)


@pytest.mark.parametrize(("side", "kernel_size", "stride"), [(8, 3, 1), (8, 3, 2), (7, 3, 2), (9, 5, 2), (12, 5, 3)])
def test_convolution_keeps_the_side_divided_by_the_stride(side: int, kernel_size: int, stride: int) -> None:
    convolution = SameConv2d(3, 4, kernel_size, stride=stride)
    assert convolution(torch.rand(1, 3, side, side + 1)).shape == (1, 4, -(-side // stride), -(-(side + 1) // stride))


def test_odd_padding_lies_right_and_below() -> None:
    convolution = SameConv2d(1, 1, 3, stride=2)
    torch.nn.init.ones_(convolution.weight)
    sums = convolution(torch.ones(1, 1, 4, 4))
    assert sums.squeeze().tolist() == [[9, 6], [6, 4]]


def test_depthwise_convolutions_of_a_cpu_stay_in_single_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.rand(1, 4, 6, 6)
        assert SameConv2d(4, 4, 3, groups=4)(x).dtype == torch.float32
        assert SameConv2d(4, 4, 3)(x).dtype == torch.bfloat16


def test_default_sizes_are_those_published() -> None:
    trunk = InvertedResidualTrunk(InvertedResidualConfig())
    assert trunk.feature_dim == 1280
    assert sum(parameter.numel() for parameter in trunk.parameters()) == 3_371_008


def test_features_are_the_mean_of_the_grid_at_any_size() -> None:
    trunk = InvertedResidualTrunk(SMALL).eval()
    images = torch.rand(2, 3, 40, 40)
    assert trunk.grid(images).shape == (2, 384, 3, 3)
    torch.testing.assert_close(trunk(images), trunk.grid(images).mean(dim=(2, 3)))


def test_a_trunk_without_head_gives_the_last_stage() -> None:
    stages = (InvertedResidualStage(dim=8, num_blocks=2),)
    trunk = InvertedResidualTrunk(InvertedResidualConfig(stages=stages, head_dim=0))
    assert trunk(torch.rand(2, 3, 16, 16)).shape == (2, trunk.feature_dim) == (2, 8)


def test_paths_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    stages = (InvertedResidualStage(dim=8, num_blocks=4, stride=1),)
    config = InvertedResidualConfig(stem_dim=8, stages=stages, head_dim=0, drop_path_rate=0.9)
    trunk = InvertedResidualTrunk(config)
    images = torch.rand(1, 3, 8, 8).expand(32, -1, -1, -1)
    assert len(trunk(images).unique(dim=0)) > 1
    features = trunk.eval()(images)
    torch.testing.assert_close(features, features[:1].expand_as(features))


def test_a_fused_block_widens_and_mixes_over_space_in_one_convolution() -> None:
    stage = InvertedResidualStage(dim=8, num_blocks=1, expansion=3, stride=2, fused=True)
    block = InvertedResidual(8, stage, stride=1).eval()
    convolutions = [module for module in block.modules() if isinstance(module, SameConv2d)]
    assert [tuple(convolution.weight.shape) for convolution in convolutions] == [(24, 8, 3, 3), (8, 24, 1, 1)]
    x = torch.rand(2, 8, 6, 6)
    size = (1 + _NORM_EPSILON) ** -0.5  # of norms that have seen nothing
    wide = (functional.conv2d(x, convolutions[0].weight, padding=1) * size).clamp(0, 6)
    torch.testing.assert_close(block(x), x + functional.conv2d(wide, convolutions[1].weight) * size)
    assert InvertedResidual(8, stage, stride=2)(x).shape == (2, 8, 3, 3)


@pytest.mark.parametrize("fused", [False, True])
def test_every_weight_gets_a_gradient(fused: bool) -> None:
    trunk = InvertedResidualTrunk(replace(SMALL, stages=tuple(replace(stage, fused=fused) for stage in SMALL_STAGES)))
    trunk(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in trunk.parameters())


@pytest.mark.parametrize("values", [{"stages": ()}, {"drop_path_rate": 1.0}])
def test_impossible_sizes_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        InvertedResidualConfig(**values)
