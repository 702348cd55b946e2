import hashlib

import numpy as np
import pytest

from limner.data.lessons import Lesson, Lessons
from limner.data.tokenizer import Tokenizer, TokenizerConfig

WORDS = ["red", "green", "blue", "fox", "apple", "house", "tree", "boat"]


def embed(texts) -> np.ndarray:
    """A vector a word, fixed by its letters; a text is the mean of its words."""

    def one(word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        return np.random.default_rng(seed).normal(size=24)

    rows = np.stack([np.mean([one(word) for word in text.split()], axis=0) for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    english = [Lesson(f"{a} {b}", f"{a} {b}") for a in WORDS[:3] for b in WORDS[3:]]
    return Lessons([*english, Lesson("лиса", "fox", 3.0), *(Lesson(word, word) for word in WORDS)], embed)


def test_what_a_text_means_is_what_the_teacher_says_of_its_meaning(lessons: Lessons) -> None:
    rows = lessons.draw(200, (0, 1))
    meanings = ["fox" if lessons.texts[row] == "лиса" else lessons.texts[row] for row in rows]
    np.testing.assert_array_equal(lessons.targets(rows), embed(meanings))
    np.testing.assert_array_equal(lessons.vectors(["red fox"]), embed(["red fox"]))


def test_lessons_are_drawn_by_weight_and_by_seed(lessons: Lessons) -> None:
    share = np.mean(lessons.draw(3000, (0, 1)) == lessons.texts.index("лиса"))
    assert share == pytest.approx(3 / (len(lessons) - 1 + 3), abs=0.02)
    assert not np.array_equal(lessons.draw(50, (0, 2)), lessons.draw(50, (0, 3)))
    np.testing.assert_array_equal(lessons.draw(50, (0, 2)), lessons.draw(50, (0, 2)))


def test_a_text_is_known_if_the_teacher_was_asked_about_it(lessons: Lessons) -> None:
    assert "fox" in lessons and "лиса" not in lessons


def test_tokens_start_where_the_texts_they_occur_in_are(lessons: Lessons) -> None:
    texts = [f"{a} {b}" for a in WORDS[:3] for b in WORDS[3:]] * 5 + WORDS * 5 + ["лиса"] * 50
    tokenizer = Tokenizer.train(texts, TokenizerConfig(vocab_size=600))
    vectors = lessons.token_vectors(tokenizer, 16)
    assert vectors.shape == (tokenizer.vocab_size, 16) and np.isfinite(vectors).all()

    def vector(word: str) -> np.ndarray:
        ids = [token for token in tokenizer.encode([word], 8)[0][0].tolist() if token > 2]
        return vectors[ids].mean(axis=0)

    def cosine(one: np.ndarray, other: np.ndarray) -> float:
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    assert cosine(vector("лиса"), vector("fox")) > 0.7
    assert cosine(vector("лиса"), vector("fox")) > cosine(vector("лиса"), vector("boat")) + 0.3
    assert not vectors[:3].any()


def test_equal_lessons_are_one_that_weighs_as_much_as_all() -> None:
    lessons = Lessons([Lesson("a", "x"), Lesson("b", "x", 2.0), Lesson("a", "x", 5.0), Lesson("a", "y", 0.0)], embed)
    assert len(lessons) == 3
    drawn = lessons.draw(4000, (0,))
    assert np.mean(drawn == lessons.texts.index("a")) == pytest.approx(0.75, abs=0.03)
