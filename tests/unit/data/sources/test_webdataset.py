import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.data.picture_files import encoded

from limner.data.picture_set import Record
from limner.data.sources import webdataset
from limner.data.sources.items import Note, Rejected
from limner.data.sources.opening import open_source
from limner.errors import DataError

PNG = encoded(Image.new("RGB", (20, 20), "red"), "PNG")


def tar_of(path: Path, members: list[tuple[str, bytes]], kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read(path: Path | str) -> tuple[dict[str, Record], dict[str, str], list[str]]:
    items = list(open_source(path))
    return (
        {item.id: item for item in items if isinstance(item, Record)},
        {item.name: item.reason for item in items if isinstance(item, Rejected)},
        [item.text for item in items if isinstance(item, Note)],
    )


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_files_of_one_key_are_one_sample(tmp_path: Path, kind: int) -> None:
    members = [
        ("x/0001.png", PNG),
        ("x/0001.txt", b"a fox\na red fox"),
        ("x/0001.ru.txt", "лиса".encode()),
        ("x/0001.json", json.dumps({"tags": ["fox"], "license": "MIT", "split": "test"}).encode()),
        ("x/0001.cls", b"17"),
        ("x/0001.npy", b"ignored"),
        ("x/0002.jpg", PNG),
        ("x/0002.cls", b"tabby cat"),
        ("y/0002.json", b'{"caption": "alone"}'),
        ("y/0003.seg.webp", PNG),
        ("y/0003.txt", b"z"),
    ]
    records, rejected, _ = read(tar_of(tmp_path / "000.tar", members, kind))
    assert list(records) == ["000/x/0001.png", "000/x/0002.jpg", "000/y/0003.seg.webp"]
    first = records["000/x/0001.png"]
    assert [(caption.text, caption.language) for caption in first.captions] == [
        ("a fox", ""),
        ("a red fox", ""),
        ("лиса", "ru"),
    ]
    assert (first.licence, first.split, first.concept, first.tags[0].text) == ("MIT", "test", "class 17", "fox")
    assert records["000/x/0002.jpg"].captions[0].text == "tabby cat"
    assert rejected == {"000/y/0002": "has no picture among its parts"}


def test_shards_keep_equal_keys_apart(tmp_path: Path) -> None:
    for number in range(3):
        tar_of(tmp_path / f"{number:03d}.tar", [("a.png", PNG), ("a.txt", str(number).encode())])
    for place in (tmp_path, f"{tmp_path}/*.tar", f"{tmp_path}/{{000..002}}.tar"):
        records, _, _ = read(place)
        assert [record.captions[0].text for record in records.values()] == ["0", "1", "2"]


def test_hostile_members_touch_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    path = inside / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../../evil.png", "/tmp/evil.png", "..", "", "ok.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            tar.addfile(info, io.BytesIO(PNG))
        for name, kind, target in (
            ("link.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard.png", tarfile.LNKTYPE, "/etc/passwd"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
            ("dev.png", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    records, _, _ = read(path)
    assert all(record.picture == PNG for record in records.values())
    assert not any("link" in name or "hard" in name or "dev" in name for name in records)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["inside", "a.tar"]


def test_members_beyond_the_limits_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "LARGEST_FILE", 1000)
    members = [("a.png", PNG + bytes(2000)), ("a.txt", b"x"), ("b.png", PNG), ("c.png", PNG), ("c.txt", bytes(5 << 20))]
    members += [(f"d.{number}.txt", b"x") for number in range(100)]
    records, rejected, _ = read(tar_of(tmp_path / "a.tar", members))
    assert list(records) == ["a/b.png"]
    assert sorted(rejected) == ["a/a", "a/c", "a/d"]


def test_a_truncated_tar_keeps_what_came_before(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", [(f"{n}.png", PNG + bytes(3000)) for n in range(9)])
    whole = path.read_bytes()
    for length in (len(whole) // 2 + 300, len(whole) // 2 + 1000):
        path.write_bytes(whole[:length])
        records, rejected, _ = read(path)
        assert 0 < len(records) < 9
        assert "truncated" in next(iter(rejected.values()))


@pytest.mark.parametrize(("kind", "squeeze"), [("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)])
def test_a_compressed_tar_is_named_as_one(tmp_path: Path, kind: str, squeeze: Callable[[bytes], bytes]) -> None:
    path = tar_of(tmp_path / "a.tar", [("a.png", PNG)])
    path.write_bytes(squeeze(path.read_bytes()))
    records, rejected, _ = read(path)
    assert not records and list(rejected) == [str(path)]
    assert f"is compressed with {kind}" in rejected[str(path)] and "truncated" not in rejected[str(path)]
    path = path.rename(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match="is compressed"):
        list(open_source(path))


def test_damaged_headers_end_the_shard_not_the_import(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", [("a.png", PNG), ("b.png", PNG)])
    data = bytearray(path.read_bytes())
    second = 512 + 512 * -(-len(PNG) // 512)
    data[second + 124 : second + 136] = b"77777777777\0"
    path.write_bytes(data)
    records, rejected, _ = read(path)
    assert list(records) == ["a/a.png"]
    assert rejected


def test_texts_in_old_encodings_are_said(tmp_path: Path) -> None:
    records, _, notes = read(tar_of(tmp_path / "a.tar", [("a.png", PNG), ("a.txt", "рыжая лиса".encode("cp1251"))]))
    assert records["a/a.png"].captions[0].text == "рыжая лиса"
    assert "Windows-1251" in notes[0]
