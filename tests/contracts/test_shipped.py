"""The models that come with the package: each is whole, loads, and does what it is for."""

import json
from pathlib import Path

import numpy as np
import pytest

from limner.generation.drawer import load_drawer
from limner.models.checkpoints import SHIPPED, load_model, resolve
from limner.search.calibrate import read_calibration
from limner.search.embedder import load_embedder, load_with_tokenizer
from limner.search.zero_shot import label_scale
from limner.services.drawing import Request, Sampling, draw

FOLDERS = sorted(path.parent for name in SHIPPED for path in resolve(name).rglob("config.json"))
MEGABYTE = 1_000_000


def of_kind(kind: str) -> list[str]:
    return [name for name in SHIPPED if json.loads((resolve(name) / "config.json").read_text())["kind"] == kind]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(folder.parents[1]).as_posix())
def test_a_shipped_model_loads(folder: Path) -> None:
    model = load_model(folder)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_a_card_and_a_calibration_of_its_own_weights(name: str) -> None:
    folder = resolve(name)
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# Model card: `{name}`")
    if (folder / "calibration.json").exists():
        assert read_calibration(folder, load_with_tokenizer(folder)[2]) is not None


@pytest.mark.parametrize("name", of_kind("clip"))
def test_a_shipped_clip_is_less_sure_of_labels_than_it_learned_to_be(name: str) -> None:
    embedder = load_embedder(name)
    assert 0 < label_scale(embedder) < embedder.scale


@pytest.mark.parametrize("name", of_kind("dalle"))
def test_a_shipped_dalle_draws(name: str) -> None:
    drawer = load_drawer(resolve(name))
    request = Request(words="a red heart", count=2, keep=2, seed=0, how=Sampling(guidance=6.0))
    found = draw(drawer, request, ranker=None, report=lambda done, total, note: None, say=lambda line: None)
    pixels = np.stack([np.asarray(each.picture.convert("RGB"), dtype=np.float32) for each in found.drawings])
    assert pixels.std(axis=(1, 2, 3)).min() > 10


def test_shipped_models_are_small() -> None:
    assert size(resolve("pictograms").parent) <= 56 * MEGABYTE
    assert all(size(resolve(name)) <= 12 * MEGABYTE for name in of_kind("clip"))
    assert size(resolve("pictograms-dvae")) + size(resolve("pictograms-dalle")) <= 16 * MEGABYTE
