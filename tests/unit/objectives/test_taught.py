"""Pictures learn from a teacher's vectors; then a text tower learns what the teacher says, and pictures stay."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts.test_models import SMALL_TEXT, SMALL_VIT
from tests.shapes import COLOURS, SHAPES, write_shapes
from tests.teacher import WordTeacher
from torch import nn
from torch.nn import functional

from limner.data.captions import CaptionChoice
from limner.data.lesson_loader import LessonLoader
from limner.data.lessons import Lesson, Lessons
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.losses.contrastive import symmetric_info_nce
from limner.losses.selection import same_concept_or_text
from limner.models.clip import CLIP, CLIPConfig
from limner.objectives.base import Objective
from limner.objectives.taught_images import TaughtImagesObjective, TaughtImagesObjectiveConfig
from limner.objectives.taught_texts import TaughtTextsObjective, TaughtTextsObjectiveConfig
from limner.types import CaptionedBatch

TEACHER = WordTeacher(dim=7)
CONFIG = LoaderConfig(batch_size=24, num_lessons=16, captions=CaptionChoice(languages={"en": 1.0, "ru": 1.0}))


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    captions = [(f"a {colour} {shape}", f"{COLOURS[colour]} {SHAPES[shape]}") for colour in COLOURS for shape in SHAPES]
    return Lessons([Lesson(text, pair[0]) for pair in captions for text in pair], TEACHER.embed)


@pytest.fixture(scope="module")
def tokenizer(lessons: Lessons) -> Tokenizer:
    return Tokenizer.train(lessons.texts, TokenizerConfig(vocab_size=300))


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory, lessons: Lessons, tokenizer: Tokenizer) -> CaptionedLoader:
    pictures = write_shapes(tmp_path_factory.mktemp("sets") / "shapes")
    rows = [np.arange(len(pictures))]
    return CaptionedLoader([pictures], rows, tokenizer, CONFIG, image_size=32, text_length=12, lessons=lessons)


def clip() -> CLIP:
    torch.manual_seed(0)
    return CLIP(CLIPConfig(vision=SMALL_VIT, text=SMALL_TEXT, embed_dim=24))


def of_images(most_alike: float = 0.99) -> TaughtImagesObjective:
    return TaughtImagesObjective(clip(), TaughtImagesObjectiveConfig(teacher_dim=7, most_alike=most_alike))


def of_texts(order_weight: float = 0.0) -> TaughtTextsObjective:
    pictures = functional.normalize(torch.randn(50, 24, generator=torch.Generator().manual_seed(3)), dim=1)
    config = TaughtTextsObjectiveConfig(teacher_dim=7, order_weight=order_weight, num_ordered=32)
    objective = TaughtTextsObjective(clip(), config)
    objective.show(pictures)
    return objective


def descend(objective: Objective, batch: Callable[[int], Any]) -> tuple[float, float]:
    """Return the loss of the first batch before and after forty steps."""
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    first = float(objective(batch(0), 0).loss.detach())
    for step in range(40):
        optimizer.zero_grad()
        objective(batch(step), step).loss.backward()
        optimizer.step()
    return first, float(objective(batch(0), 40).loss.detach())


def test_a_batch_carries_the_meaning_of_its_texts_and_of_further_ones(loader: CaptionedLoader) -> None:
    batch = loader.batch(0)
    assert batch.teacher is not None and batch.lessons is not None
    assert batch.teacher.shape == (24, 7) and batch.lessons.shape == (16, 7)
    for row, item in enumerate(loader.pictures.item(element) for element in range(24)):
        english = loader.captions.texts(item, "en")[0]
        np.testing.assert_allclose(batch.teacher[row].numpy(), TEACHER.embed([english])[0])


def test_pictures_learn_from_the_teacher_and_the_text_tower_is_left_alone(loader: CaptionedLoader) -> None:
    objective = of_images()
    texts = {name: value.clone() for name, value in objective.model.state_dict().items() if name.startswith("text")}
    first, last = descend(objective, loader.batch)
    assert last < 0.8 * first
    after = objective.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in texts.items())


def test_without_further_texts_the_loss_is_clips(loader: CaptionedLoader) -> None:
    objective, batch = of_images(), loader.batch(0)
    assert batch.teacher is not None
    alone = replace(batch, lessons=torch.zeros(0, 7))
    scores = (
        objective.model.encode_images(batch.images)
        @ objective.teacher_projection(batch.teacher).T
        * objective.model.scale()
    )
    clips = symmetric_info_nce(scores, same_concept_or_text(batch.concepts, batch.texts))
    torch.testing.assert_close(objective(alone, 0).loss, clips)


def test_further_texts_are_negatives_unless_they_mean_the_same(loader: CaptionedLoader) -> None:
    batch = loader.batch(0)

    def loss(objective: TaughtImagesObjective, batch: CaptionedBatch) -> float:
        return float(objective(batch, 0).loss.detach())

    alone = loss(of_images(), replace(batch, lessons=torch.zeros(0, 7)))
    assert loss(of_images(most_alike=1.0), batch) > alone
    assert loss(of_images(most_alike=0.0), batch) == pytest.approx(alone, abs=1e-6)


def test_the_text_tower_learns_what_the_teacher_says_and_nothing_else_moves(
    lessons: Lessons, tokenizer: Tokenizer
) -> None:
    objective = of_texts()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    loader = LessonLoader(lessons, tokenizer, CONFIG, text_length=12)
    first, last = descend(objective, loader.batch)
    assert last < 0.3 * first
    after = objective.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved and all(name.startswith(("model.text", "model.text_projection")) for name in moved)


def test_the_order_of_pictures_is_learned_too(lessons: Lessons, tokenizer: Tokenizer) -> None:
    objective, loader = of_texts(order_weight=1.0), LessonLoader(lessons, tokenizer, CONFIG, text_length=12)
    first = objective(loader.batch(0), 0).metrics["divergence"]
    descend(objective, loader.batch)
    assert objective(loader.batch(0), 0).metrics["divergence"] < 0.3 * first


def test_texts_that_are_where_the_teacher_has_them_have_nothing_to_learn(
    lessons: Lessons, tokenizer: Tokenizer
) -> None:
    objective = of_texts(order_weight=1.0)
    batch = LessonLoader(lessons, tokenizer, CONFIG, text_length=12).batch(0)
    texts = objective.model.encode_texts(batch.tokens).detach()
    objective.teacher_projection = nn.Identity()  # type: ignore[assignment]
    assert float(objective(replace(batch, teacher=texts), 0).loss.detach()) == pytest.approx(0, abs=1e-5)


def test_other_pictures_are_ordered_at_every_step_and_the_same_when_it_is_run_again(
    lessons: Lessons, tokenizer: Tokenizer
) -> None:
    objective, batch = of_texts(order_weight=1.0), LessonLoader(lessons, tokenizer, CONFIG, text_length=12).batch(0)
    losses = [float(objective(batch, step).loss.detach()) for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("objective", [of_images(), of_texts()])
def test_the_teachers_map_is_kept_beside_the_model(objective: Objective) -> None:
    assert list(objective.own_state()) == ["teacher_projection.weight"]
    assert not [name for name in objective.model.state_dict() if "teacher" in name]
