from dataclasses import replace
from pathlib import Path

import pytest
from tests.shapes import shape_records

from limner.data.picture_set import PictureSet
from limner.errors import UsageError
from limner.services import demo


def write_small_set(name: str, out: Path, **_: object) -> PictureSet:
    """In place of the drawings of npm packages: shapes under the names of the families and concepts."""
    records = list(shape_records(sizes=(12,)))
    concepts = [demo._LION, demo._APPLE, demo._TRAIN, *demo._CLASSIFIED[4:]]
    families = (*demo.GALLERY_FAMILIES, demo.ASKING_FAMILY)
    return PictureSet.write(
        out,
        [
            replace(record, id=f"{family}/{concept}", concept=concept, source=family, split=split)
            for family in families
            for concept, record, split in zip(concepts, records, ["test", "train"] * 4, strict=False)
        ],
    )


@pytest.fixture
def ran(model, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "build", write_small_set)

    def run() -> demo.Demo:
        return demo.run_demo(tmp_path / "demo", model=str(model), report=lambda *_: None, say=lambda _: None)

    return run


def test_the_demo_leaves_a_page_with_every_query(ran):
    found = ran()
    page = found.page.read_text(encoding="utf-8")
    assert found.num_pictures == 14
    assert all(answer.hits for answer in found.answers)
    assert {answer.kind for answer in found.answers} == {
        "words",
        "words in Russian",
        "a picture in another style",
        "a picture and words",
    }
    assert page.count("<section>") == len(found.answers) + 1
    assert "поезд" in page and "✦" in page
    assert len(found.guesses) == 7
    assert ran().page.read_text(encoding="utf-8") == page


def test_a_caption_in_each_language_lies_beside_its_picture(ran, tmp_path):
    ran()
    picture = tmp_path / "demo" / "pictures" / f"{demo._LION}-noto.png"
    assert picture.with_suffix(".txt").read_text(encoding="utf-8") == "a red circle\n"
    assert picture.with_suffix(".ru.txt").read_text(encoding="utf-8") == "красный круг\n"


def test_other_files_are_left_alone(ran, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="--out"):
        ran()
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["thesis.txt"]
