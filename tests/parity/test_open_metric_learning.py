"""Open Metric Learning's checkpoints give equal outputs here; its models, DINO's layers, are written down as functions.

`benchmarks/peer/oml_parity.py` compares with the library itself, which cannot be installed everywhere.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.command import Command
from tests.photos import paint
from torch import Tensor
from torch.nn import functional

from limner.errors import ModelError
from limner.interop.open_metric_learning import extractor_of_oml, model_of_oml, read_oml_checkpoint, stir_of_oml
from limner.models.checkpoints import load_model
from limner.models.extractor import Extractor
from limner.models.stir import STIR

DIM, DEPTH, PATCH, SIDE, HIDDEN = 128, 2, 8, 4, 48
HEADS = DIM // 64
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def vit_weights() -> dict[str, Tensor]:
    """A state dict with DINO's names; the numbers are wide, so that nothing hides in a small residual."""
    generator = torch.Generator().manual_seed(0)

    def wide(*shape: int, spread: float = 0.2) -> Tensor:
        return torch.randn(shape, generator=generator) * spread

    weights = {"cls_token": wide(1, 1, DIM, spread=1.0), "pos_embed": wide(1, 1 + SIDE**2, DIM, spread=1.0)}
    weights |= {"patch_embed.proj.weight": wide(DIM, 3, PATCH, PATCH), "patch_embed.proj.bias": wide(DIM)}
    shapes = {"attn.qkv": (3 * DIM, DIM), "attn.proj": (DIM, DIM), "mlp.fc1": (4 * DIM, DIM), "mlp.fc2": (DIM, 4 * DIM)}
    for number in range(DEPTH):
        for name, shape in shapes.items():
            weights |= {f"blocks.{number}.{name}.weight": wide(*shape), f"blocks.{number}.{name}.bias": wide(shape[0])}
        for name in ("norm1", "norm2"):
            weights |= {f"blocks.{number}.{name}.weight": 1 + wide(DIM), f"blocks.{number}.{name}.bias": wide(DIM)}
    return weights | {"norm.weight": 1 + wide(DIM), "norm.bias": wide(DIM)}


def siamese_weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    head = {
        "head.0.weight": torch.randn(HIDDEN, DIM, generator=generator) * 0.3,
        "head.0.bias": torch.randn(HIDDEN, generator=generator),
        "head.3.weight": torch.randn(1, HIDDEN, generator=generator),
    }
    return {f"extractor.model.{name}": tensor for name, tensor in vit_weights().items()} | head


def published_features(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """DINO's forward pass of normalised pictures to the class token."""
    rows, columns = x.shape[2] // PATCH, x.shape[3] // PATCH
    patches = functional.conv2d(x, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=PATCH)
    x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    positions = weights["pos_embed"]
    if (rows, columns) != (SIDE, SIDE):
        grid = positions[:, 1:].reshape(1, SIDE, SIDE, DIM).permute(0, 3, 1, 2)
        factors = ((rows + 0.1) / math.sqrt(SIDE**2), (columns + 0.1) / math.sqrt(SIDE**2))
        grid = functional.interpolate(grid, scale_factor=factors, mode="bicubic")
        positions = torch.cat([positions[:, :1], grid.permute(0, 2, 3, 1).reshape(1, -1, DIM)], dim=1)
    x = x + positions

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (DIM,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    for number in range(DEPTH):
        block = f"blocks.{number}"
        batch, length, _ = x.shape
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").reshape(batch, length, 3, HEADS, DIM // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = ((q @ k.transpose(-2, -1)) * (DIM // HEADS) ** -0.5).softmax(dim=-1) @ v
        x = x + linear(mixed.transpose(1, 2).reshape(batch, length, DIM), f"{block}.attn.proj")
        x = x + linear(functional.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def published_logits(weights: dict[str, Tensor], one: Tensor, other: Tensor) -> Tensor:
    """ConcatSiamese: one above the other, then a perceptron with a sigmoid inside and no last bias."""
    vit = {name.removeprefix("extractor.model."): tensor for name, tensor in weights.items()}
    x = published_features(vit, torch.cat([one, other], dim=2))
    x = functional.linear(x, weights["head.0.weight"], weights["head.0.bias"]).sigmoid()
    return functional.linear(x, weights["head.3.weight"])[:, 0]


def some_images(seed: int) -> Tensor:
    return torch.rand(3, 3, SIDE * PATCH, SIDE * PATCH, generator=torch.Generator().manual_seed(seed))


def normalised(images: Tensor) -> Tensor:
    return (images - MEAN[:, None, None]) / STD[:, None, None]


@torch.inference_mode()
def test_features_equal_the_published_network() -> None:
    weights, images = vit_weights(), some_images(0)
    model = extractor_of_oml(weights)
    expected = published_features(weights, normalised(images))
    torch.testing.assert_close(model.vision(images), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        model.encode_images(images), functional.normalize(expected, dim=-1), atol=1e-5, rtol=1e-4
    )


@torch.inference_mode()
def test_scores_of_pairs_are_minus_the_published_logits_in_either_order() -> None:
    weights, one, other = siamese_weights(), some_images(0), some_images(1)
    model = stir_of_oml(weights)
    for first, second in ((one, other), (other, one)):
        logits = published_logits(weights, normalised(first), normalised(second))
        scores = model.pair_scores(model.picture_parts(first), model.picture_parts(second))
        torch.testing.assert_close(scores, -logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.distances(scores[None])[0], logits.sigmoid(), atol=1e-5, rtol=1e-4)
    assert float((logits - published_logits(weights, normalised(one), normalised(other))).abs().max()) > 0.01


@pytest.mark.parametrize("prefix", ["", "model.", "extractor.model.model."])
def test_a_checkpoint_of_lightning_is_one_without_its_prefix(tmp_path: Path, prefix: str) -> None:
    named = {prefix + name: tensor for name, tensor in siamese_weights().items()}
    torch.save({"epoch": 3, "state_dict": named | {"criterion.weight": torch.ones(3)}}, tmp_path / "a.ckpt")
    model = model_of_oml(read_oml_checkpoint(tmp_path / "a.ckpt"))
    assert isinstance(model, STIR)
    bare = stir_of_oml(siamese_weights())
    assert all((tensor == bare.state_dict()[name]).all() for name, tensor in model.state_dict().items())


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda weights: {key: tensor for key, tensor in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("blocks.1.mlp.fc2.bias"), "mlp.fc2.bias"),
        (without("pos_embed"), "pos_embed"),
        (lambda weights: weights | {"blocks.0.ls1.gamma": torch.ones(DIM)}, "DINOv2"),
        (lambda weights: weights | {"fc_norm.weight": torch.ones(DIM)}, "fc_norm"),
        (lambda weights: weights | {"norm.bias": torch.ones(3)}, "norm.bias"),
        (lambda weights: {"layer1.weight": torch.ones(3)}, "ViTExtractor"),
    ],
)
def test_what_ours_has_no_layer_for_is_named(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        model_of_oml(change(vit_weights()))


def test_a_head_of_other_layers_is_named() -> None:
    with pytest.raises(ModelError, match="mlp_hidden_dims"):
        stir_of_oml(siamese_weights() | {"head.6.weight": torch.ones(1, HIDDEN)})


def test_checkpoints_become_folders_that_search_and_re_rank(limner: Command, tmp_path: Path) -> None:
    torch.save({"state_dict": vit_weights()}, tmp_path / "extractor.ckpt")
    torch.save(siamese_weights(), tmp_path / "siamese.pth")
    status, out, err = limner("convert", tmp_path / "extractor.ckpt", tmp_path / "extractor", "--json")
    assert status == 0, err
    assert json.loads(out)["image_size"] == SIDE * PATCH and isinstance(load_model(tmp_path / "extractor"), Extractor)
    assert limner("convert", tmp_path / "siamese.pth", tmp_path / "siamese")[0] == 0
    for colour in ("red", "green", "blue"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    models = ("--model", tmp_path / "extractor", "--reranker", tmp_path / "siamese")
    status, _, err = limner("index", tmp_path / "photos", "--to", tmp_path / "c", *models)
    assert status == 0, err
    asked = tmp_path / "photos/red.png"
    status, out, err = limner("search", tmp_path / "c", "--picture", asked, "--rerank", "stir", "--json")
    assert status == 0, err
    assert {Path(hit["path"]).name for hit in json.loads(out)["hits"]} == {"red.png", "green.png", "blue.png"}
    status, _, err = limner("search", tmp_path / "c", "red")
    assert status == 2 and "reads no words" in err
    status, _, err = limner("convert", tmp_path / "siamese.pth", tmp_path / "siamese")
    assert status == 2 and "name a new folder" in err


class Dangerous:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_nothing_of_a_checkpoint_is_executed(limner: Command, tmp_path: Path) -> None:
    torch.save({"state_dict": vit_weights(), "hyper": Dangerous(tmp_path / "ran")}, tmp_path / "bad.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for name, remedy in (("bad.ckpt", "torch.save"), ("text.ckpt", "text.ckpt"), ("nowhere.ckpt", "nowhere.ckpt")):
        status, _, err = limner("convert", tmp_path / name, tmp_path / "out")
        assert status == 1 and remedy in err and "Traceback" not in err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()
