"""One common suite that every entry of MODELS passes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limner.config import from_dict, to_dict
from limner.errors import ModelError
from limner.models.checkpoints import MODELS, load_model, save_model
from limner.models.clip import CLIP, CLIPConfig
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualStage
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig

SMALL_TEXT = TextConfig(
    vocab_size=300, length=12, token_dim=16, transformer=TransformerConfig(dim=32, depth=2, num_heads=2)
)
SMALL_VIT = VisionTransformerConfig(
    image_size=32, patch_size=8, transformer=TransformerConfig(dim=32, depth=2, num_heads=2)
)
SMALL_CONVOLUTION = InvertedResidualConfig(
    image_size=32, stem_dim=8, stages=(InvertedResidualStage(dim=16, num_blocks=2, expansion=2),), head_dim=32
)


def run_clip(model: CLIP, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 3, 32, 32, generator=generator)
    tokens = torch.randint(3, 300, (4, 12), generator=generator)
    tokens[1, 5:] = 0
    return torch.cat(model(images, tokens))


CASES: dict[str, tuple[str, object, Callable[[CLIP], Tensor]]] = {
    "clip with a vit": ("clip", CLIPConfig(vision=SMALL_VIT, text=SMALL_TEXT, embed_dim=24), run_clip),
    "clip with convolutions": ("clip", CLIPConfig(vision=SMALL_CONVOLUTION, text=SMALL_TEXT, embed_dim=24), run_clip),
}


def test_every_model_has_a_case() -> None:
    assert {kind for kind, _, _ in CASES.values()} == set(MODELS)


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    torch.manual_seed(0)
    kind, config, run = CASES[request.param]
    return MODELS[kind][0](config).eval(), run


def test_the_config_survives_json(case) -> None:
    model, _ = case
    assert from_dict(type(model.config), json.loads(json.dumps(to_dict(model.config)))) == model.config


def test_saved_and_loaded_gives_the_same_output(case, tmp_path: Path) -> None:
    model, run = case
    save_model(tmp_path, model)
    assert torch.equal(run(load_model(tmp_path)), run(model))


def test_half_precision_on_disk_is_close_and_loads_as_float32(case, tmp_path: Path) -> None:
    model, run = case
    save_model(tmp_path, model, dtype=torch.float16)
    loaded = load_model(tmp_path)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(run(loaded), run(model), atol=5e-3, rtol=0)


def test_the_gradient_reaches_every_parameter(case) -> None:
    model, run = case
    model.train()
    output = run(model) * model.scale() + model.bias
    (output * torch.randn_like(output)).sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not [name for name in missing if name not in {"vision.class_token"}], missing


def test_rows_do_not_mix(case) -> None:
    model, _ = case
    images, tokens = torch.rand(3, 3, 32, 32), torch.randint(3, 300, (3, 12))
    together = model(images, tokens)
    alone = [model(images[i : i + 1], tokens[i : i + 1]) for i in range(3)]
    for side in (0, 1):
        torch.testing.assert_close(together[side], torch.cat([row[side] for row in alone]), atol=1e-5, rtol=1e-4)


def test_embeddings_have_unit_length(case) -> None:
    model, run = case
    torch.testing.assert_close(run(model).norm(dim=1), torch.ones(8))


def test_padding_does_not_change_a_text(case) -> None:
    model, _ = case
    short = torch.tensor([[1, 7, 9, 2]])
    padded = torch.tensor([[1, 7, 9, 2, 0, 0, 0, 0]])
    torch.testing.assert_close(model.encode_texts(short), model.encode_texts(padded))


def test_a_class_token_model_pools_by_it(tmp_path: Path) -> None:
    vision = VisionTransformerConfig(
        image_size=32, patch_size=8, pooling="class", transformer=TransformerConfig(dim=32, depth=1, num_heads=2)
    )
    model = CLIP(CLIPConfig(vision=vision, text=SMALL_TEXT, embed_dim=24))
    run_clip(model).sum().backward()
    assert model.vision.class_token.grad.abs().sum() > 0


def test_patch_dropout_acts_in_training_only() -> None:
    vision = VisionTransformerConfig(
        image_size=32,
        patch_size=4,
        patch_dropout_rate=0.5,
        transformer=TransformerConfig(dim=32, depth=1, num_heads=2),
    )
    model = CLIP(CLIPConfig(vision=vision, text=SMALL_TEXT, embed_dim=24))
    images = torch.rand(2, 3, 32, 32)
    lengths: list[int] = []
    model.vision.transformer.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    first, second = model.train().encode_images(images), model.encode_images(images)
    assert not torch.equal(first, second)
    assert torch.equal(model.eval().encode_images(images), model.encode_images(images))
    assert lengths == [33, 33, 65, 65]


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"kind": "gan", "config": {}}')


def other_sizes(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["embed_dim"] = 25
    (folder / "config.json").write_text(json.dumps(values))


def enormous(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["text"]["vocab_size"] = 10**12
    (folder / "config.json").write_text(json.dumps(values))


def endless(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["text"]["transformer"]["depth"] = 10**6
    (folder / "config.json").write_text(json.dumps(values))


def unknown_key(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["hidden"] = 1
    (folder / "config.json").write_text(json.dumps(values))


def truncated(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def pickled(folder: Path) -> None:
    torch.save({"a": torch.ones(1)}, folder / "model.safetensors")


def one_tensor_less(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("text.positions")
    save_file(weights, folder / "model.safetensors")


def weights_gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "harm",
    [damage_config, unknown_kind, other_sizes, enormous, endless, unknown_key, truncated, pickled, one_tensor_less]
    + [weights_gone],
)
def test_a_harmed_folder_is_refused_in_one_sentence(harm: Callable[[Path], None], tmp_path: Path) -> None:
    save_model(tmp_path, CLIP(CLIPConfig(vision=SMALL_VIT, text=SMALL_TEXT, embed_dim=24)))
    harm(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_names_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config.json and model.safetensors"):
        load_model(tmp_path / "nowhere")
