"""Lessons of a teacher of words for a set of captions: the captions themselves, and the words that it knows."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from safetensors.numpy import load_file, save_file

from limner.data.captions import Captions
from limner.data.lessons import Lesson, Lessons, Vectors

__all__ = ["build_lessons", "words_of"]

_TEACHER_LANGUAGES = ("en", "en-gb", "")
_WORDS_SHARE = 0.3
_PHRASES_SHARE = 0.3
_LEXICON_SHARE = 0.2
_WORD_REPEATS = 6
_TEMPLATE = "a picture of {}"


def build_lessons(
    captions: Captions,
    vocabulary: Sequence[str],
    embed: Callable[[Sequence[str]], Vectors],
    memory: Path,
    *,
    phrases: Sequence[str] = (),
) -> Lessons:
    """Return lessons that a text in another language means the picture's English caption, and English texts themselves.

    Captions weigh as their languages do; all words of the teacher's `vocabulary`, all `phrases`, and all Russian words
    with an English meaning, each weigh a fixed part of what the captions do together.

    What the teacher said by `embed` is kept in the file `memory` for a resumed run.
    """
    lessons = list(_of_captions(captions))
    total = sum(lesson.weight for lesson in lessons)
    lessons += _of_words(_english_words(vocabulary), _WORDS_SHARE * total)
    lessons += _of_words([(phrase, phrase) for phrase in phrases], _PHRASES_SHARE * total)
    if captions.weight("ru"):
        lessons += _of_words(_russian_words(), _LEXICON_SHARE * total)
    return Lessons(lessons, partial(_remembered, embed, memory))


def words_of(vocabulary: Sequence[str]) -> list[str]:
    """Return the single words that lessons tell, for the tokenizer; repeated, since captions are too."""
    words = [word for word, _ in (*_english_words(vocabulary), *_russian_words())]
    return words * _WORD_REPEATS


def _english_words(vocabulary: Sequence[str]) -> list[tuple[str, str]]:
    return [(word, word) for word in vocabulary if word.isascii() and len(word) > 2]


def _of_words(words: Sequence[tuple[str, str]], weight: float) -> list[Lesson]:
    return [Lesson(word, meaning, weight / len(words)) for word, meaning in words]


def _russian_words() -> list[tuple[str, str]]:
    """Return common Russian words with their English meaning, so that Russian has words that no caption uses."""
    text = (files("limner.recipes") / "russian_words.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return [(russian, english) for russian, english in pairs]


def _remembered(embed: Callable[[Sequence[str]], Vectors], memory: Path, texts: Sequence[str]) -> Vectors:
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if memory.is_file():
        known = load_file(memory)
        if digest in known:
            return known[digest]
    vectors = embed(texts)
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
