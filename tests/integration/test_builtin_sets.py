import json
from pathlib import Path

import pytest
from tests.command import Command, finish

from limner.data.builtin import BUILTIN, build
from limner.data.builtin.splitting import split_of
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet, Record
from limner.errors import DataError, UsageError


def test_a_small_set_is_built_from_the_registry_and_then_reused(
    limner: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    words = ["data", "get", "pictograms", str(tmp_path / "set"), "--families", "twemoji", "--limit", "40", "--json"]
    status, out, err = finish(*words)
    assert status == 0, err
    answer = json.loads(out)
    assert (answer["reused"], answer["num_pictures"]) == (False, 40)
    assert answer["families"][0]["dropped"]["the same in another skin tone"] > 2000
    again = build("pictograms", tmp_path / "set", families=["twemoji"], limit=40)
    assert again.to_json() == {**answer, "reused": True}
    status, out, _ = limner(*words[:-1])
    assert status == 0 and "twemoji" in out and "skin tone" in out
    records = list(PictureSet.open(tmp_path / "set").records())
    assert len({record.concept for record in records}) == 40
    for record in records:
        assert record.split == split_of(record.group)
        assert record.captions[0].language == "en" and {"ru", "ja"} <= {text.language for text in record.captions}
        assert decode_picture(record.picture).size == (128, 128) == (record.width, record.height)
    other = build("pictograms", tmp_path / "set", families=["twemoji"], limit=20, size=64)
    assert (other.reused, other.num_pictures) == (False, 20)
    assert {record.id for record in PictureSet.open(tmp_path / "set").records()} <= {record.id for record in records}


def test_a_family_of_icons_is_built_from_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    done = build("icons", tmp_path / "set", families=["temaki"], limit=40)
    assert (done.num_pictures, done.families[0].family, done.families[0].licence) == (40, "temaki", "CC0-1.0")
    for record in PictureSet.open(tmp_path / "set").records():
        assert record.split == split_of(record.group) and record.captions[0].language == "en"
        assert record.captions[0].text.islower() and record.concept.startswith(("clip:", "1F", "2"))
        assert decode_picture(record.picture).size == (128, 128)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("emoji", {}, "there are pictograms, openclipart, icons, fashion-mnist"),
        ("pictograms", {"families": ["serif"]}, "has no family 'serif'; there are noto"),
        ("icons", {"families": ["noto"]}, "has no family 'noto'; there are streamline-color"),
        ("openclipart", {"families": ["noto"]}, "leave out --families"),
        ("fashion-mnist", {"size": 64}, "leave out --size"),
        ("pictograms", {"size": 4}, "16 to 1024"),
        ("pictograms", {"limit": 0}, "at least one"),
    ],
)
def test_wrong_wishes_are_named(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, tmp_path / "set", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_ones_own_is_never_replaced(tmp_path: Path) -> None:
    PictureSet.write(tmp_path / "mine", [Record(id="a", picture=b"x", source="holiday")])
    with pytest.raises(DataError, match="another picture set"):
        build("pictograms", tmp_path / "mine")
    assert len(PictureSet.open(tmp_path / "mine")) == 1


def test_every_package_has_a_recorded_hash() -> None:
    for builtin in BUILTIN.values():
        assert all(len(package.sha256) == 64 for package in builtin.packages)
