from pathlib import Path

import numpy as np
import pytest
import torch
from tests.contracts.test_models import SMALL_TEXT, SMALL_VIT
from tests.shapes import COLOURS, SHAPES, write_shapes

from limner.data.captions import CaptionChoice
from limner.data.lessons import Lesson, Lessons
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.models.clip import CLIP
from limner.objectives.taught_clip import TaughtCLIPObjective, TaughtCLIPObjectiveConfig


def embed(texts) -> np.ndarray:
    """One number a word, so that "red circle" lies between "red" and "circle"."""
    words = [*COLOURS, *SHAPES]
    rows = np.array([[1.0 + 4.0 * (word in text) for word in words] for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> CaptionedLoader:
    pictures = write_shapes(tmp_path_factory.mktemp("sets") / "shapes")
    captions = [(f"a {colour} {shape}", f"{COLOURS[colour]} {SHAPES[shape]}") for colour in COLOURS for shape in SHAPES]
    lessons = [Lesson(text, english) for english, russian in captions for text in (english, russian)]
    tokenizer = Tokenizer.train([lesson.text for lesson in lessons], TokenizerConfig(vocab_size=300))
    config = LoaderConfig(batch_size=24, num_lessons=16, captions=CaptionChoice(languages={"en": 1.0, "ru": 1.0}))
    return CaptionedLoader(
        [pictures],
        [np.arange(len(pictures))],
        tokenizer,
        config,
        image_size=32,
        text_length=12,
        lessons=Lessons(lessons, embed),
    )


def objective() -> TaughtCLIPObjective:
    from limner.models.clip import CLIPConfig

    torch.manual_seed(0)
    model = CLIP(CLIPConfig(vision=SMALL_VIT, text=SMALL_TEXT, embed_dim=24))
    return TaughtCLIPObjective(model, TaughtCLIPObjectiveConfig(teacher_dim=7))


def test_a_batch_carries_the_meaning_of_its_texts(loader: CaptionedLoader) -> None:
    batch = loader.batch(0)
    assert batch.teacher is not None and batch.lesson_tokens is not None and batch.lesson_teacher is not None
    assert batch.teacher.shape == (24, 7) and batch.lesson_tokens.shape == (16, 12)
    for row, item in enumerate(loader._item(element) for element in range(24)):
        english = loader.captions.texts(item, "en")[0]
        np.testing.assert_allclose(batch.teacher[row].numpy(), embed([english])[0])


def test_all_three_terms_fall_and_teach_the_student(loader: CaptionedLoader) -> None:
    taught = objective()
    optimizer = torch.optim.AdamW(taught.parameters(), lr=3e-3)
    first = taught(loader.batch(0), 0)
    for step in range(40):
        optimizer.zero_grad()
        output = taught(loader.batch(step), step)
        output.loss.backward()
        optimizer.step()
    assert output.loss < 0.8 * first.loss and output.metrics["by_teacher"] < first.metrics["by_teacher"]


def test_the_lessons_do_not_move_the_teachers_map(loader: CaptionedLoader) -> None:
    """Only the contrast with pictures moves W: drawing W t to the student would let both collapse."""
    taught = objective()
    taught.config = TaughtCLIPObjectiveConfig(teacher_dim=7, contrast_weight=0.0)
    taught(loader.batch(0), 0).loss.backward()
    gradient = taught.teacher_projection.weight.grad
    assert gradient is None or not gradient.abs().sum()


def test_the_teachers_map_is_not_kept_with_the_model(tmp_path: Path) -> None:
    names = objective().model.state_dict()
    assert not [name for name in names if "teacher" in name]
