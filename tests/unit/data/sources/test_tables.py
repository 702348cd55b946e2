import csv
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from limner.data.picture_set import Record
from limner.data.sources.items import Note, Rejected, SourceOptions
from limner.data.sources.opening import open_source
from limner.errors import DataError, LimnerError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    return tmp_path


def read(path: Path | str, **options: object) -> tuple[dict[str, Record], dict[str, str], list[str]]:
    items = list(open_source(path, SourceOptions(**options)))
    return (
        {item.id: item for item in items if isinstance(item, Record)},
        {item.name: item.reason for item in items if isinstance(item, Rejected)},
        [item.text for item in items if isinstance(item, Note)],
    )


def texts(record: Record) -> list[tuple[str, str]]:
    return [(caption.text, caption.language) for caption in record.captions]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_of_one_picture_are_put_together(folder: Path, delimiter: str) -> None:
    path = folder / ("table.tsv" if delimiter == "\t" else "table.csv")
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["image", "caption", "split"])
        writer.writerow(["a.png", "a fox", "val"])
        writer.writerow(["sub/c.png", 'a "quoted"\nfox, red; here', "test"])
        writer.writerow(["a.png", "a red fox", "val"])
    records, rejected, _ = read(path)
    assert texts(records["a.png"]) == [("a fox", ""), ("a red fox", "")]
    assert texts(records["sub/c.png"]) == [('a "quoted" fox, red; here', "")]
    assert [record.split for record in records.values()] == ["validation", "test"]
    assert records["a.png"].picture == (folder / "a.png").read_bytes()
    assert not rejected


def test_two_columns_of_one_name_are_both_read(folder: Path) -> None:
    (folder / "t.csv").write_text("path,caption,caption,,\na.png,a fox,vixen,,\nb.png,a bear\n")
    records, rejected, _ = read(folder / "t.csv")
    assert texts(records["a.png"]) == [("a fox", ""), ("vixen", "")]
    assert texts(records["b.png"]) == [("a bear", "")] and not rejected


def test_columns_are_recognised(folder: Path) -> None:
    row = "File Name,Caption_1,caption_2,caption_ru,language,concept,group,tags,source,license,other\n"
    row += 'a.png,a fox,vixen,лиса,en,fox,canine,"fox, red",zoo,MIT,x\n'
    (folder / "t.csv").write_text(row, encoding="utf-8-sig")
    record = read(folder / "t.csv")[0]["a.png"]
    assert texts(record) == [("a fox", "en"), ("vixen", "en"), ("лиса", "ru")]
    assert (record.concept, record.group, record.source, record.licence) == ("fox", "canine", "zoo", "MIT")
    assert [tag.text for tag in record.tags] == ["fox", "red"]


def test_columns_may_be_named(folder: Path) -> None:
    (folder / "t.csv").write_text('bild,beschreibung,mehr\na.png,ein Fuchs,"[""rot"", ""klein""]"\n')
    with pytest.raises(DataError, match="--picture-column.*bild, beschreibung"):
        read(folder / "t.csv")
    with pytest.raises(DataError, match="--caption-column"):
        read(folder / "t.csv", picture_column="bild")
    with pytest.raises(UsageError, match="no column 'Bild'"):
        read(folder / "t.csv", picture_column="Bild")
    records, _, _ = read(
        folder / "t.csv", picture_column="bild", caption_columns=("mehr", "beschreibung"), language="de"
    )
    assert texts(records["a.png"]) == [("rot", "de"), ("klein", "de"), ("ein Fuchs", "de")]


def test_paths_stay_inside_or_are_absolute(folder: Path) -> None:
    inner = folder / "sub" / "t.csv"
    names = ["../a.png", str(folder / "a.png"), "c.png", "missing.png", "http://x/y.png", "", "x\0y.png", "a" * 5000]
    inner.write_text("path,caption\n" + "".join(f"{name},x\n" for name in names))
    records, rejected, _ = read(inner)
    assert sorted(records) == sorted([str(folder / "a.png"), "c.png"])
    assert "outside" in rejected["../a.png"]
    assert "exist" in rejected["missing.png"]
    assert "address" in rejected["http://x/y.png"]
    assert "no path" in rejected["(a row without a path)"]
    assert sorted(read(inner, pictures=folder)[0]) == sorted([str(folder / "a.png")])


def test_old_encodings_are_read_and_said(folder: Path) -> None:
    (folder / "t.csv").write_text("path,text\na.png,рыжая лиса\n", encoding="cp1251")
    records, _, notes = read(folder / "t.csv")
    assert texts(records["a.png"]) == [("рыжая лиса", "")]
    assert "Windows-1251" in notes[0]
    (folder / "u.csv").write_text("path,text\na.png,рыжая лиса\n", encoding="utf-16")
    assert texts(read(folder / "u.csv")[0]["a.png"]) == [("рыжая лиса", "")]


@pytest.mark.parametrize("content", ["", "\n\n", "path,caption\n", "path\na.png\n", "caption\nx\n"])
def test_tables_without_pictures_or_captions(folder: Path, content: str) -> None:
    (folder / "t.csv").write_text(content)
    try:
        assert read(folder / "t.csv") == ({}, {}, [])
    except DataError as error:
        assert "column" in str(error)


def test_ragged_and_damaged_rows(folder: Path) -> None:
    (folder / "t.csv").write_text(f'path,caption\na.png\nb.png,x,y,z\nsub/c.png,"{"long " * 100_000}"\n')
    records, _, _ = read(folder / "t.csv")
    assert [len(record.captions) for record in records.values()] == [0, 1, 1]
    (folder / "wide.csv").write_text(f'path,caption\na.png,"{"x" * (5 << 20)}"\n')
    with pytest.raises(DataError, match="damaged"):
        read(folder / "wide.csv")
    assert csv.field_size_limit() == 131_072


def test_json_lines_and_lists(folder: Path) -> None:
    rows = [{"image": "a.png", "caption": ["a fox", "vixen"]}, {"image": "b.png", "caption": {"ru": "лиса"}}]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (folder / "t.json").write_text(json.dumps(rows))
    for name in ("t.jsonl", "t.json"):
        records, _, _ = read(folder / name)
        assert texts(records["a.png"]) == [("a fox", ""), ("vixen", "")]
        assert texts(records["b.png"]) == [("лиса", "ru")]
    for damaged in ('{"image": \n', "[1]\n", "\n"):
        (folder / "t.jsonl").write_text(damaged)
        with pytest.raises(DataError):
            read(folder / "t.jsonl")


@pytest.mark.parametrize("layout", ["path", "struct", "bytes"])
def test_parquet(folder: Path, layout: str) -> None:
    content = (folder / "a.png").read_bytes()
    image = {"path": "a.png", "struct": {"bytes": content, "path": "a.png"}, "bytes": content}[layout]
    rows = [
        {"image": image, "caption": ["a fox", "vixen"], "split": "test"},
        {"image": None, "caption": ["x"], "split": ""},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "t.parquet")
    records, rejected, _ = read(folder / "t.parquet")
    (record,) = records.values()
    assert texts(record) == [("a fox", ""), ("vixen", "")]
    assert (record.picture, record.split) == (content, "test")
    assert len(rejected) == 1


def test_parquet_with_paths_in_its_structs(folder: Path) -> None:
    rows = [{"image": {"bytes": None, "path": "sub/c.png"}, "text": "a fox"}]
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("text", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "t.parquet")
    assert list(read(folder / "t.parquet")[0]) == ["sub/c.png"]


def test_several_shards(folder: Path) -> None:
    shards = folder / "shards"
    shards.mkdir()
    for number in range(3):
        rows = [{"image": (folder / "a.png").read_bytes(), "caption": f"{number}"}]
        pq.write_table(pa.Table.from_pylist(rows), shards / f"part-{number:03d}.parquet")
    for pattern in (
        shards,
        shards / "*.parquet",
        shards / "part-{000..002}.parquet",
        shards / "part-{000,001,002}.parquet",
    ):
        records, _, _ = read(pattern)
        assert [record.captions[0].text for record in records.values()] == ["0", "1", "2"]
    for wrong in ("part-{000..003}.parquet", "*.tar", "part-{002..000}.parquet"):
        with pytest.raises(DataError):
            read(shards / wrong)


@pytest.mark.parametrize("name", ["t.parquet", "t.json", "t.csv", "t.jsonl", "t.tar"])
def test_noise_is_a_named_error_or_nothing(folder: Path, name: str) -> None:
    for content in (b"", b"\0" * 2000, os.urandom(3000), b"PAR1" + bytes(100) + b"PAR1", b"{}", b"[]", b"null"):
        (folder / name).write_bytes(content)
        try:
            assert read(folder / name)[0] == {}
        except LimnerError:
            continue


def test_unknown_layouts_are_named(folder: Path) -> None:
    (folder / "t.xlsx").write_bytes(b"x")
    for place, reason in (("t.xlsx", "no known layout"), ("nowhere", "nothing at")):
        with pytest.raises(DataError, match=reason):
            open_source(folder / place)
