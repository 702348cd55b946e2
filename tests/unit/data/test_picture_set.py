import threading
from collections.abc import Iterator
from pathlib import Path

import lance
import pyarrow as pa
import pytest

from limner.data import picture_set
from limner.data.picture_set import Caption, PictureSet, Record
from limner.errors import DataError


def records(count: int) -> Iterator[Record]:
    for number in range(count):
        yield Record(
            id=f"p{number}",
            picture=bytes([number % 256]) * (number % 7 + 1),
            captions=(
                Caption(text=f"caption {number}", language="en"),
                Caption(text=f"имя {number}", language="ru"),
            ),
            tags=(Caption(text="tag"),),
            split=("train", "validation", "test", "")[number % 4],
            width=number,
            height=2,
        )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = list(records(10))
    pictures = PictureSet.write(tmp_path / "set", iter(written))
    assert len(pictures) == 10
    found = list(PictureSet.open(tmp_path / "set").records())
    assert [record.captions for record in found] == [record.captions for record in written]
    assert [record.picture for record in found] == [record.picture for record in written]
    assert {(record.concept, record.group) for record in found} == {(f"p{n}", f"p{n}") for n in range(10)}
    assert list(pictures.records([3, 1, 3])) == [found[3], found[1], found[3]]
    assert names(tmp_path) == ["set"]


def test_rows_give_positions_and_no_pictures_unless_asked(tmp_path: Path) -> None:
    pictures = PictureSet.write(tmp_path / "set", records(9))
    everything = pictures.rows(["id"])
    assert everything.column_names == ["id", "_row"]
    assert everything["_row"].to_pylist() == list(range(9))
    some = pictures.rows(["id", "width"], splits=["validation", "test"])
    assert some.column_names == ["id", "width", "_row"]
    assert some["id"].to_pylist() == ["p1", "p2", "p5", "p6"]
    assert some["_row"].to_pylist() == [1, 2, 5, 6]
    assert pictures.rows(["size"])["size"].to_pylist() == [len(record.picture) for record in records(9)]
    assert pictures.rows([])["_row"].to_pylist() == list(range(9))
    with pytest.raises(DataError, match="no column 'colour'.*captions"):
        pictures.rows(["colour"])


def test_pictures_come_in_the_order_asked_for(tmp_path: Path) -> None:
    pictures = PictureSet.write(tmp_path / "set", records(20))
    every = [record.picture for record in records(20)]
    assert pictures.pictures([7, 0, 19, 7]) == [every[7], every[0], every[19], every[7]]
    assert pictures.pictures([]) == []
    for wrong in ([20], [-1]):
        with pytest.raises(IndexError):
            pictures.pictures(wrong)


def test_sets_are_written_and_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_set, "_PART_ROWS", 8)
    monkeypatch.setattr(picture_set, "_READ_BYTES", 10)
    pictures = PictureSet.write(tmp_path / "set", records(50))
    assert len(lance.dataset(tmp_path / "set").get_fragments()) == 7
    assert [record.id for record in pictures.records()] == [f"p{n}" for n in range(50)]
    assert pictures.pictures([49, 8, 7]) == [record.picture for record in pictures.records([49, 8, 7])]
    assert pictures.rows(["id"], splits=["test"])["_row"].to_pylist() == list(range(2, 50, 4))


def test_an_empty_set_is_a_set(tmp_path: Path) -> None:
    pictures = PictureSet.write(tmp_path / "set", [])
    assert len(pictures) == 0
    assert list(pictures.records()) == []
    assert pictures.rows(["id"])["id"].to_pylist() == []


def test_a_failing_source_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Record]:
        yield from records(3)
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        PictureSet.write(tmp_path / "set", failing())
    assert names(tmp_path) == []


def test_a_failing_source_leaves_the_set_that_was_there(tmp_path: Path) -> None:
    PictureSet.write(tmp_path / "set", records(3))
    with pytest.raises(DataError, match="two pictures have the id 'p0'"):
        PictureSet.write(tmp_path / "set", [*records(2), *records(1)])
    assert len(PictureSet.open(tmp_path / "set")) == 3
    assert len(PictureSet.write(tmp_path / "set", records(5))) == 5
    assert names(tmp_path) == ["set"]


def test_other_folders_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    lance.write_dataset(pa.table({"id": ["a"]}), tmp_path / "table")
    for name in ("photos", "file", "table"):
        with pytest.raises(DataError, match="not a picture set"):
            PictureSet.write(tmp_path / name, records(1))
    assert (tmp_path / "photos" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert len(PictureSet.write(tmp_path / "empty", records(1))) == 1


def test_what_is_no_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    lance.write_dataset(pa.table({"id": ["a"]}), tmp_path / "table")
    for name, reason in (
        ("missing", "no picture set"),
        ("folder", "limner data import"),
        ("table", "column 'picture'"),
    ):
        with pytest.raises(DataError, match=reason):
            PictureSet.open(tmp_path / name)


def test_a_damaged_set_is_named(tmp_path: Path) -> None:
    pictures = PictureSet.write(tmp_path / "set", records(3))
    for path in (tmp_path / "set" / "data").iterdir():
        path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged"):
        PictureSet.open(tmp_path / "set").rows(["id"])
    for path in (tmp_path / "set" / "_versions").iterdir():
        path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged"):
        PictureSet.open(tmp_path / "set")
    assert len(pictures) == 3


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    def meddling() -> Iterator[Record]:
        with pytest.raises(DataError, match="another process is writing"):
            PictureSet.write(tmp_path / "set", records(1))
        yield from records(4)

    assert len(PictureSet.write(tmp_path / "set", meddling())) == 4


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".set.partial" / "set" / "data"
    leftover.mkdir(parents=True)
    (leftover / "half.lance").write_bytes(b"half")
    assert len(PictureSet.write(tmp_path / "set", records(2))) == 2
    assert names(tmp_path) == ["set"]


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    pictures = PictureSet.write(tmp_path / "set", records(200))
    expected = [record.picture for record in records(200)]
    wrong: list[int] = []

    def read(start: int) -> None:
        for row in range(start, 200, 4):
            other = (row * 7) % 200
            if pictures.pictures([row, other]) != [expected[row], expected[other]]:
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
