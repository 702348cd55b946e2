from dataclasses import dataclass, field
from typing import Literal

import pytest

from limner.config import from_dict, override, to_dict
from limner.errors import UsageError
from limner.recipes import RECIPES
from limner.recipes.base import Run


@dataclass(frozen=True, kw_only=True)
class Round:
    kind: Literal["round"] = "round"
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"] = "square"
    side: int = 2


@dataclass(frozen=True, kw_only=True)
class Drawing:
    shape: Round | Square = field(default_factory=Round)
    name: str = "untitled"
    sizes: dict[str, float] = field(default_factory=dict)


def test_a_config_survives_the_way_to_a_dict_and_back() -> None:
    drawing = Drawing(shape=Square(side=5), name="box", sizes={"x": 1.5})
    assert from_dict(Drawing, to_dict(drawing)) == drawing


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_the_way_to_a_dict_and_back(name: str) -> None:
    run = RECIPES[name]()
    assert from_dict(Run, to_dict(run)) == run


def test_override_changes_one_field_and_leaves_the_original() -> None:
    drawing = Drawing()
    changed = override(drawing, {"shape.radius": "2.5", "name": "disc", "sizes": '{"x": 2}'})
    assert (changed.shape, changed.name, changed.sizes) == (Round(radius=2.5), "disc", {"x": 2.0})
    assert drawing == Drawing()


def test_override_of_a_text_field_takes_words_that_look_like_json() -> None:
    assert override(Drawing(), {"name": "red fox"}).name == "red fox"


@pytest.mark.parametrize("path", ["nmae", "shape.side", "shape.radius.x", "colour.red"])
def test_an_unknown_key_is_named_beside_the_known_ones(path: str) -> None:
    with pytest.raises(UsageError, match="unknown key") as caught:
        override(Drawing(), {path: "1"})
    assert "known here" in str(caught.value)


def test_a_wrong_type_is_an_error_that_names_the_field() -> None:
    with pytest.raises(UsageError, match="radius"):
        override(Drawing(), {"shape.radius": "wide"})


def test_a_size_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(UsageError, match="multiple"):
        override(RECIPES["clip-vit"](), {"model.vision.patch_size": "7"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("loop.num_steps", "0"),
        ("loop.save_every", "0"),
        ("loop.accumulation_steps", "-1"),
        ("loop.averaging_decay", "NaN"),
        ("loop.seed", "99999999999999999999"),
        ("loop.optimizer.learning_rate", "NaN"),
        ("loop.optimizer.learning_rate", "1e400"),
        ("loop.optimizer.betas", "[1, 0.9]"),
        ("loop.optimizer.rates", '{"vision": -1}'),
        ("loader.batch_size", "0"),
        ("loader.seed", "-1"),
        ("loader.captions.languages", '{"en": -1}'),
        ("loader.augmentation.zoom", "[0, 1]"),
        ("loader.augmentation.flip_rate", "1.5"),
        ("tokenizer.vocab_size", "-1"),
        ("model.embed_dim", "-1"),
        ("model.temperature", "0"),
        ("model.max_scale", "-1"),
        ("model.vision.image_size", "0"),
        ("model.vision.std", "[0, 0, 0]"),
        ("model.text.length", "1"),
        ("model.text.transformer.num_heads", "0"),
        ("model.text.transformer.dropout_rate", "2"),
        ("objective.chunk_size", "-1"),
        ("loop.num_steps", "[" * 100_000),
    ],
)
def test_a_number_outside_its_range_is_an_error_that_names_the_field(path: str, value: str) -> None:
    with pytest.raises(UsageError, match=path.replace(".", r"\.")) as caught:
        override(RECIPES["clip"](), {path: value})
    assert len(str(caught.value)) < 300


def test_another_kind_brings_its_fields_and_keeps_those_that_both_have() -> None:
    assert override(Drawing(), {"shape.side": "5", "shape.kind": "square"}).shape == Square(side=5)
    assert override(Drawing(shape=Round(radius=3)), {"shape.kind": "round"}).shape == Round(radius=3)
    run = override(RECIPES["ranking"](), {"model.kind": "late", "model.vision.kind": "vit", "model.embed_dim": "32"})
    assert (run.model.kind, run.model.vision.kind, run.model.embed_dim) == ("late", "vit", 32)
    assert run.model.text == RECIPES["ranking"]().model.text


def test_an_unknown_kind_is_named_beside_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown kind 'oval' of shape; known: round, square"):
        override(Drawing(), {"shape.kind": "oval"})


def test_what_does_not_fit_together_is_one_short_sentence() -> None:
    for changes, sentence in (
        ({"objective.loss": "nce", "ranking.num_mined": "2"}, "leave ranking.num_mined at 0"),
        ({"objective.num_candidates": "1"}, "at least 2"),
        ({"objective.language_weight": "1"}, "set model.kind=language"),
        (
            {"objective.kind": "contrast", "objective.loss": "softmax", "model.kind": "cross"},
            "use the recipe 'ranking'",
        ),
    ):
        with pytest.raises(UsageError, match=sentence) as caught:
            override(RECIPES["ranking"](), changes)
        assert len(str(caught.value)) < 200
    with pytest.raises(UsageError, match="`continues` is true"):
        override(RECIPES["pictograms-words"](), {"continues": "false"})
