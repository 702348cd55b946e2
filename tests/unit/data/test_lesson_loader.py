"""Lessons come by weight and by seed, those of like length together."""

import numpy as np
import pytest
import torch
from tests.teacher import WordTeacher

from limner.data.lesson_loader import LessonLoader
from limner.data.lessons import Lesson, Lessons
from limner.data.loader import LoaderConfig
from limner.data.tokenizer import Tokenizer, TokenizerConfig

TEXTS = ["red", "blue", "a red circle", "a blue square on a green square", "circle", "green triangle and red circle"]
TEACHER = WordTeacher()


@pytest.fixture
def loader() -> LessonLoader:
    lessons = Lessons([Lesson(text, text, number + 1.0) for number, text in enumerate(TEXTS)], TEACHER.embed)
    tokenizer = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=270))
    return LessonLoader(lessons, tokenizer, LoaderConfig(batch_size=32), text_length=8)


def test_each_text_comes_with_the_teachers_vector_of_its_meaning(loader: LessonLoader) -> None:
    batch = loader.batch(3)
    rows = {tuple(row) for row in torch.cat([batch.tokens, batch.teacher], dim=1).tolist()}
    tokens = loader._tokens.float()
    known = torch.cat([tokens, torch.from_numpy(TEACHER.embed(TEXTS))], dim=1)
    assert rows <= {tuple(row) for row in known.tolist()}


def test_a_pool_is_drawn_by_weight(loader: LessonLoader) -> None:
    meanings = torch.cat([loader.batch(number).teacher for number in range(64)])
    last = torch.from_numpy(TEACHER.embed(TEXTS[-1:]))
    share = float((meanings == last).all(dim=1).float().mean())
    assert share == pytest.approx(6 / 21, abs=0.04)


def test_a_batch_is_a_function_of_its_number(loader: LessonLoader) -> None:
    again = loader.batches(5)
    for number in (5, 6, 9):
        expected = loader.batch(number)
        if number < 9:
            found = next(again)
            assert torch.equal(found.tokens, expected.tokens) and torch.equal(found.teacher, expected.teacher)
    assert not torch.equal(loader.batch(5).tokens, loader.batch(6).tokens)


def test_texts_of_like_length_stand_together(loader: LessonLoader) -> None:
    spreads = [np.ptp((loader.batch(number).tokens != 0).sum(dim=1).numpy()) for number in range(8)]
    assert np.mean(spreads) < 2


def test_long_texts_are_cut_and_counted(loader: LessonLoader) -> None:
    assert loader.num_truncated > 0 and len(loader) == len(TEXTS)
