"""What a teacher of words is asked about, and how much each kind of text weighs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.shapes import write_shapes
from tests.teacher import WordTeacher

from limner.data.captions import CaptionChoice, Captions
from limner.data.lessons import Lessons
from limner.services.teaching import build_lessons

PHRASE = "a thing that is round"


def lessons_of(folder: Path, language: str, phrases: tuple[str, ...]) -> Lessons:
    pictures = write_shapes(folder / "shapes")
    captions = Captions([pictures], [np.arange(len(pictures))], CaptionChoice(languages={language: 1.0, "en": 1.0}))
    return build_lessons(captions, ["apple", "pear"], WordTeacher().embed, folder / "memory", phrases=phrases)


def weights(lessons: Lessons) -> Counter[str]:
    found: Counter[str] = Counter()
    for text, share in zip(lessons.texts, np.diff(lessons._bounds, prepend=0.0), strict=True):
        found[text] += float(share)
    return found


def test_words_and_phrases_each_weigh_a_part_of_the_captions(tmp_path: Path) -> None:
    weight = weights(lessons_of(tmp_path, "ru", (PHRASE,)))
    assert weight["apple"] == pytest.approx(weight["pear"]) and weight["a red circle"] > 0
    assert weight[PHRASE] == pytest.approx(weight["apple"] + weight["pear"])
    assert weight["красный круг"] > 0 and 0 < weight["снеговик"] < 1e-4, "Russian has words that no caption uses"


def test_without_phrases_and_russian_captions_there_are_captions_and_words(tmp_path: Path) -> None:
    weight = weights(lessons_of(tmp_path, "de", ()))
    assert weight["apple"] > 0 and not weight["снеговик"] and not weight[PHRASE]
