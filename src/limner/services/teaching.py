"""Lessons of a teacher of words for a set of captions: the captions themselves, and the words that it knows."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from safetensors.numpy import load_file, save_file

from limner.data.captions import Captions
from limner.data.lessons import Lesson, Lessons, Vectors
from limner.interop.sentence_teacher import SentenceTeacher

__all__ = ["build_lessons"]

_TEACHER_LANGUAGES = ("en", "en-gb", "")
_WORDS_SHARE = 1.0
_TEMPLATE = "a picture of {}"


def build_lessons(captions: Captions, memory: Path) -> Lessons:
    """Return lessons that a text in another language means the picture's English caption, and English texts themselves.

    Captions weigh as their languages do; all single words together weigh as much as all captions.

    What the teacher said is kept in the file `memory` for a resumed run.

    Raises:
        ModelError: if the teacher is not installed.
    """
    teacher = SentenceTeacher()
    lessons = [*_of_captions(captions), *_of_lexicon(captions.weight("ru"))]
    words = [word for word in teacher.vocabulary if word.isascii() and len(word) > 2]
    weight = _WORDS_SHARE * sum(lesson.weight for lesson in lessons) / len(words)
    return Lessons([*lessons, *(Lesson(word, word, weight) for word in words)], partial(_remembered, teacher, memory))


def _of_lexicon(weight: float) -> Iterator[Lesson]:
    """Yield common Russian words with their English meaning, so that Russian has words that no caption uses."""
    if weight:
        for line in (files("limner.recipes") / "russian_words.tsv").read_text(encoding="utf-8").splitlines():
            russian, english = line.split("\t")
            yield Lesson(russian, english, weight)


def _remembered(teacher: SentenceTeacher, memory: Path, texts: Sequence[str]) -> Vectors:
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if memory.is_file():
        known = load_file(memory)
        if digest in known:
            return known[digest]
    vectors = teacher.embed(texts)
    partly = memory.with_suffix(".partial")
    save_file({digest: vectors}, partly)
    partly.replace(memory)
    return vectors


def _of_captions(captions: Captions) -> Iterator[Lesson]:
    for item in range(len(captions)):
        english = [text for language in _TEACHER_LANGUAGES for text in captions.texts(item, language)]
        tags = [tag for language in _TEACHER_LANGUAGES for tag in captions.texts(item, language, tags=True)]
        if not english:  # the teacher reads names that many languages share
            english = [*tags, *captions.every_text(item)][:1]
        for text in (*english, *tags):
            yield Lesson(text, text, captions.weight("en") / (len(english) + len(tags)))
            yield Lesson(_TEMPLATE.replace("{}", text), text, 0.1 * captions.weight("en") / (len(english) + len(tags)))
        for language in captions.languages(item):
            if language not in _TEACHER_LANGUAGES and captions.weight(language):
                for text in captions.texts(item, language):
                    yield Lesson(text, english[0], captions.weight(language))
