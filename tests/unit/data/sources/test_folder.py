import json
from pathlib import Path

import pytest
from PIL import Image

from limner.data.picture_set import Caption, Record
from limner.data.sources.folder import caption_of_name, read_folder
from limner.data.sources.items import Note, Rejected, SourceOptions


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), "red").save(path)


def read(folder: Path, **options: object) -> tuple[dict[str, Record], dict[str, str], list[str]]:
    items = list(read_folder(folder, SourceOptions(**options)))
    return (
        {item.id: item for item in items if isinstance(item, Record)},
        {item.name: item.reason for item in items if isinstance(item, Rejected)},
        [item.text for item in items if isinstance(item, Note)],
    )


def test_side_files_in_several_languages(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a red fox\n\n  a fox in the snow \n", encoding="utf-8-sig")
    (tmp_path / "a.ru.txt").write_text("рыжая лиса\n")
    (tmp_path / "a.pt-BR.txt").write_text("raposa")
    picture(tmp_path / "deep" / "er" / "b.png")
    records, rejected, notes = read(tmp_path, language="en")
    assert records["a.png"].captions == (
        Caption(text="raposa", language="pt-BR"),
        Caption(text="рыжая лиса", language="ru"),
        Caption(text="a red fox", language="en"),
        Caption(text="a fox in the snow", language="en"),
    )
    assert records["deep/er/b.png"].captions == ()
    assert records["a.png"].picture == (tmp_path / "a.png").read_bytes()
    assert (rejected, notes) == ({}, [])


@pytest.mark.parametrize(
    ("content", "captions", "tags"),
    [
        ({"caption": "a fox"}, [("a fox", "")], []),
        (
            {"captions": ["a fox", "red fox"], "tags": "fox, snow ;ice"},
            [("a fox", ""), ("red fox", "")],
            ["fox", "snow", "ice"],
        ),
        ({"text": {"en": "a fox", "ru": ["лиса", "лис"]}}, [("a fox", "en"), ("лиса", "ru"), ("лис", "ru")], []),
        ({"captions": [{"text": "лиса", "language": "ru"}]}, [("лиса", "ru")], []),
        ({"caption": "лиса", "language": "ru", "keywords": ["зверь"]}, [("лиса", "ru")], ["зверь"]),
        ({"id": "x", "url": "y", "tags": ["fox"]}, [], ["fox"]),
        (["a fox", "red fox"], [("a fox", ""), ("red fox", "")], []),
        ({"caption": None, "tags": None}, [], []),
        ({"caption": 5, "tags": {"a": 1}}, [], []),
    ],
)
def test_side_files_in_json(tmp_path: Path, content: object, captions: list[tuple[str, str]], tags: list[str]) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(content))
    record = read(tmp_path)[0]["a.png"]
    assert [(caption.text, caption.language) for caption in record.captions] == captions
    assert [tag.text for tag in record.tags] == tags


def test_json_names_the_place_of_a_picture(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    values = {"concept": "fox", "group": 7, "source": "zoo", "license": "CC0-1.0", "split": "val"}
    (tmp_path / "a.json").write_text(json.dumps(values))
    record = read(tmp_path)[0]["a.png"]
    assert (record.concept, record.group, record.source) == ("fox", "7", "zoo")
    assert (record.licence, record.split) == ("CC0-1.0", "validation")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"caption": "a"', ""])
def test_damaged_json_leaves_the_picture_out_by_name(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "a.json").write_text(text)
    records, rejected, _ = read(tmp_path)
    assert list(records) == ["b.png"]
    assert "JSON" in rejected["a.png"]


def test_old_encodings_are_read_and_said(tmp_path: Path) -> None:
    for name, text, encoding in (("ru", "рыжая лиса на снегу", "cp1251"), ("fr", "un café très noir", "latin-1")):
        picture(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(text, encoding=encoding)
        records, _, notes = read(tmp_path)
        assert records[f"{name}.png"].captions[0].text == text
        assert any(f"{name}.txt is not UTF-8" in note for note in notes)


def test_file_names_are_captions_only_where_there_are_no_side_files(tmp_path: Path) -> None:
    picture(tmp_path / "red_fox-02.png")
    picture(tmp_path / "cat" / "0001.png")
    picture(tmp_path / "IMG_2041.png")
    records, _, notes = read(tmp_path)
    assert records["red_fox-02.png"].captions == (Caption(text="red fox"),)
    assert records["cat/0001.png"].captions == (Caption(text="cat"),)
    assert "file names" in notes[0]
    (tmp_path / "red_fox-02.txt").write_text("a vixen")
    records, _, notes = read(tmp_path)
    assert records["red_fox-02.png"].captions == (Caption(text="a vixen"),)
    assert records["cat/0001.png"].captions == records["IMG_2041.png"].captions == ()
    assert notes == []
    assert read(tmp_path, file_names=True)[0]["cat/0001.png"].captions == (Caption(text="cat"),)
    (tmp_path / "red_fox-02.txt").unlink()
    assert read(tmp_path, file_names=False)[0]["red_fox-02.png"].captions == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("red_fox-02", "red fox"),
        ("red fox (3)", "red fox"),
        ("12-red.fox", "red fox"),
        ("рыжая_лиса", "рыжая лиса"),
        ("cat - Copy (2)", "cat"),
        ("picture_frame", "picture frame"),
        ("IMG_2041", ""),
        ("DSC01234", ""),
        ("IMG-20200101-WA0001", ""),
        ("Screenshot from 2020-01-01", ""),
        ("0001", ""),
        ("3f2a9c0de4b1", ""),
        ("e\u0301te\u0301", "été"),
    ],
)
def test_words_of_a_file_name(name: str, words: str) -> None:
    assert caption_of_name(name) == words


def test_unusual_files_are_named_or_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / ".hidden" / "b.png")
    picture(tmp_path / ".c.png")
    (tmp_path / "d.heic").write_bytes(b"heic")
    (tmp_path / "e.png").mkdir()
    (tmp_path / "f.png").touch()
    (tmp_path / "g.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    records, rejected, _ = read(tmp_path)
    assert list(records) == ["a.png"]
    assert sorted(rejected) == ["d.heic", "f.png", "g.png"]
    assert "convert" in rejected["d.heic"] and "empty" in rejected["f.png"] and "exist" in rejected["g.png"]


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    raw = bytes(tmp_path) + b"/caf\xe9.png"
    Path(raw.decode("utf-8", "surrogateescape")).write_bytes(b"x")
    records, _, _ = read(tmp_path)
    (record,) = records.values()
    assert record.id.encode() and record.id.startswith("caf")
