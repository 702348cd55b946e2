"""The four runs of `pictograms`, small, with a teacher that needs no package: what learns in each, what stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.shapes import write_shapes
from tests.teacher import WordTeacher
from torch import Tensor

from limner.models.checkpoints import load_model
from limner.services.training import start_run

SMALL = {
    "model.vision.image_size": "32",
    "model.text.transformer.depth": "1",
    "loader.batch_size": "12",
    "loader.num_threads": "1",
    "loop.num_steps": "2",
    "loop.warmup_steps": "1",
    "loop.validate_every": "2",
    "loop.precision": "float32",
}
TOKENIZER = {"tokenizer.vocab_size": "300"}
IMAGES = ("vision.", "image_projection.")

Train = Callable[..., dict[str, Tensor]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Return what trains a recipe into a named run, from another one, and returns the weights it ends with."""
    for module in ("courses", "training"):
        monkeypatch.setattr(f"limner.services.{module}.SentenceTeacher", WordTeacher)
    shapes = write_shapes(tmp_path / "shapes").path

    def run(recipe: str, name: str, initial: str | None = None, **settings: str) -> dict[str, Tensor]:
        changes = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
        start_run(
            recipe,
            [shapes],
            tmp_path / name,
            initial=None if initial is None else str(tmp_path / initial),
            settings=changes | ({} if initial else TOKENIZER),
            report=lambda *_: None,
            say=lambda _: None,
        )
        return load_model(tmp_path / name).state_dict()

    return run


def alike(one: dict[str, Tensor], other: dict[str, Tensor], beginnings: tuple[str, ...]) -> bool:
    """Return whether every parameter whose name begins so is the same in both; averaging a weight may round it."""
    names = [name for name in one if name.startswith(beginnings) and "num_batches" not in name]
    return bool(names) and all(torch.allclose(one[name], other[name], atol=1e-6) for name in names)


def test_each_run_teaches_its_part_and_leaves_the_others(train: Train) -> None:
    first = train("pictograms", "a", image_start="", loader__num_lessons="8")
    pictures = train("pictograms-pictures", "b", "a", loader__num_lessons="8")
    assert not alike(first, pictures, IMAGES)
    assert alike(first, pictures, ("text.", "text_projection."))

    words = train("pictograms-words", "c", "b")
    assert alike(pictures, words, IMAGES)
    assert not alike(pictures, words, ("text.",))

    joint = train("pictograms-joint", "d", "c")
    assert not alike(words, joint, ("image_projection.",))
    assert not alike(words, joint, ("text.",))


def test_a_text_tower_begins_from_the_teacher_or_goes_on_from_its_own_tokens(train: Train) -> None:
    train("pictograms", "a", image_start="", loader__num_lessons="8")
    words = train("pictograms-words", "b", "a")
    still = {"loop__optimizer__learning_rate": "0"}
    assert alike(words, train("pictograms-words", "c", "b", fresh="[]", **still), ("text.",))
    anew = train("pictograms-words", "d", "b", **still)
    assert not alike(words, anew, ("text.tokens.",))
    assert alike(anew, train("pictograms-words", "e", "b", **still), ("text.tokens.",))
