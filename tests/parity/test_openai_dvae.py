"""Our network against the published one, written out step by step over weights with the published names."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.errors import ModelError
from limner.interop.openai_dvae import load_openai_dvae
from limner.models.dvae import DVAE, DVAEConfig
from limner.nn.bottleneck import BottleneckConfig
from limner.nn.codebooks import DenseCodebookConfig

WIDTH, CODES, INNER, BLOCKS = 8, 20, 6, 2


def build(**changes: int) -> DVAE:
    network = BottleneckConfig(**{"hidden_dim": WIDTH, "num_blocks": BLOCKS, "code_dim": INNER} | changes)
    config = DVAEConfig(image_size=32, num_codes=CODES, network=network, codebook=DenseCodebookConfig())
    return DVAE(config).eval().requires_grad_(False)


def published_weights() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def layer(name: str, before: int, after: int, size: int) -> dict[str, Tensor]:
        w = torch.randn(after, before, size, size, generator=generator) / (before * size**2) ** 0.5
        return {f"{name}.w": w, f"{name}.b": torch.randn(after, generator=generator)}

    def group(number: int, before: int, after: int, sizes: tuple[int, ...]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for block in range(1, BLOCKS + 1):
            name, start = f"blocks.group_{number}.block_{block}", before if block == 1 else after
            dims = (start, *[after // 4] * 3, after)
            if start != after:
                found |= layer(f"{name}.id_path", start, after, 1)
            for place in range(4):
                found |= layer(f"{name}.res_path.conv_{place + 1}", dims[place], dims[place + 1], sizes[place])
        return found

    encoder = layer("blocks.input", 3, WIDTH, 7) | layer("blocks.output.conv", 8 * WIDTH, CODES, 1)
    decoder = layer("blocks.input", CODES, INNER, 1) | layer("blocks.output.conv", WIDTH, 6, 1)
    for number, factor in enumerate((1, 2, 4, 8), 1):
        encoder |= group(number, WIDTH * max(factor // 2, 1), WIDTH * factor, (3, 3, 3, 1))
        before = INNER if number == 1 else WIDTH * 16 // factor
        decoder |= group(number, before, WIDTH * 8 // factor, (1, 3, 3, 3))
    return encoder, decoder


def convolve(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    w = weights[f"{name}.w"]
    return functional.conv2d(x, w, weights[f"{name}.b"], padding=w.shape[2] // 2)


def published_groups(x: Tensor, weights: dict[str, Tensor], resize) -> Tensor:
    for number in range(1, 5):
        for block in range(1, BLOCKS + 1):
            name, y = f"blocks.group_{number}.block_{block}", x
            for place in range(1, 5):
                y = convolve(y.relu(), weights, f"{name}.res_path.conv_{place}")
            same = convolve(x, weights, f"{name}.id_path") if f"{name}.id_path.w" in weights else x
            x = same + y / (4 * BLOCKS) ** 2
        x = resize(x) if number < 4 else x
    return convolve(x.relu(), weights, "blocks.output.conv")


def test_codes_and_pictures_equal_the_published_network() -> None:
    torch.manual_seed(1)
    encoder, decoder = published_weights()
    model = build()
    load_openai_dvae(model, encoder, decoder)
    images = torch.rand(2, 3, 32, 32)
    x = convolve(0.8 * images + 0.1, encoder, "blocks.input")
    logits = published_groups(x, encoder, lambda grid: functional.max_pool2d(grid, 2))
    torch.testing.assert_close(
        model.codebook.logits(model.features(images)), logits.permute(0, 2, 3, 1), atol=1e-4, rtol=1e-4
    )
    codes = logits.argmax(dim=1)
    assert torch.equal(model.codes(images), codes)
    z = functional.one_hot(codes, CODES).permute(0, 3, 1, 2).float()
    doubled = lambda grid: grid.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
    maps = published_groups(convolve(z, decoder, "blocks.input"), decoder, doubled)
    expected = ((maps[:, :3].sigmoid() - 0.1) / 0.8).clamp(0, 1)
    torch.testing.assert_close(model.reconstruct(images), expected, atol=1e-4, rtol=1e-4)


def test_other_sizes_and_missing_tensors_are_named() -> None:
    encoder, decoder = published_weights()
    with pytest.raises(ModelError, match="use its sizes"):
        load_openai_dvae(build(code_dim=5), encoder, decoder)
    with pytest.raises(ModelError, match="blocks.input.w"):
        load_openai_dvae(build(), {name: t for name, t in encoder.items() if name != "blocks.input.w"}, decoder)
    with pytest.raises(ModelError, match="'bottleneck'"):
        load_openai_dvae(DVAE(DVAEConfig()), encoder, decoder)
