import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from limner.data.builtin import icons
from limner.data.builtin.emoji_names import Emoji, name_key
from limner.data.builtin.icon_families import Family
from limner.data.builtin.icon_sources import IconSource
from limner.data.builtin.packages import Package
from limner.data.builtin.report import Tally
from limner.data.builtin.splitting import split_of
from limner.data.picture_set import Record

CAMERA, FOX = "1F4F7", "1F98A"
EMOJI = {
    concept: Emoji(concept=concept, subgroup="", labels={"en": label}, tags={})
    for concept, label in [(CAMERA, "camera"), (FOX, "fox")]
}
BOX = '<path fill="{}" d="M{} 0h{}v24h-9z"/>'


def make_source(folder: Path, bodies: dict[str, str], aliases: dict[str, str], **options: object) -> IconSource:
    package = Package(client="npm", name="drawn", version="1", sha256="")
    files = {
        "icons.json": {
            "width": 24,
            "height": 24,
            "icons": {name: {"body": body} for name, body in bodies.items()},
            "aliases": {alias: {"parent": parent} for alias, parent in aliases.items()},
        },
        "metadata.json": {"categories": {"Camera / Film": ["tripod"], "TravelPlaces": ["tent-pole"]}},
    }
    with tarfile.open(folder / package.file_name, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            text = json.dumps(content).encode()
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    sha256 = hashlib.sha256((folder / package.file_name).read_bytes()).hexdigest()
    package = Package(client="npm", name="drawn", version="1", sha256=sha256)
    return IconSource(family=Family(package=package, licence="MIT"), **options)  # type: ignore[arg-type]


def records_of(source: IconSource, monkeypatch: pytest.MonkeyPatch, folder: Path, tally: Tally) -> list[Record]:
    names = {name_key(entry.labels["en"]): concept for concept, entry in EMOJI.items()}
    monkeypatch.setattr(icons, "ICON_SOURCES", {"drawn": source})
    monkeypatch.setattr(icons, "read_emoji", lambda cache: EMOJI)
    monkeypatch.setattr(icons, "index_names", lambda emoji, cache: names)
    return icons.icon_records(["drawn"], folder, size=32, limit=None, tally=tally)


def build(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *names: str,
    aliases: dict[str, str] | None = None,
    tally: Tally | None = None,
    **options: object,
) -> dict[str, Record]:
    """Records by name of icons that look different from each other."""
    bodies = {name: BOX.format("currentColor", place, 3 + place) for place, name in enumerate(names)}
    source = make_source(folder, bodies, aliases or {}, **options)
    records = records_of(source, monkeypatch, folder, tally or Tally())
    assert all(record.split == split_of(record.group) and record.licence == "MIT" for record in records)
    return {record.id.removeprefix("drawn/"): record for record in records}


def test_an_icon_joins_the_concept_that_bears_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = build(monkeypatch, tmp_path, "fox", "foxes-2", "fox-den", "dens")
    assert found["fox"].concept == found["foxes-2"].concept == found["fox"].group == FOX
    assert found["fox-den"].concept == found["fox-den"].group == "clip:fox den"
    assert found["dens"].concept == "clip:den"
    assert found["foxes-2"].captions[0].text == "foxes" and found["foxes-2"].captions[0].language == "en"


def test_what_bears_a_held_out_name_is_never_trained_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert split_of(CAMERA) == "validation"
    names = ("old-cameras", "camera", "tripod", "snapshot", "camerawoman")
    found = build(monkeypatch, tmp_path, *names, aliases={"camera-picture": "snapshot"})
    for name in ("camera", "old-cameras", "snapshot"):
        assert (found[name].group, found[name].split) == (CAMERA, "validation")
    assert found["old-cameras"].concept == "clip:old camera"
    assert found["tripod"].group == "clip:tripod" and found["camerawoman"].group == "clip:camerawoman"


def test_a_held_out_title_of_clip_art_counts_as_a_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert split_of("clip:cocktail") == "test"
    found = build(monkeypatch, tmp_path, "cocktails", "cocktail-umbrella")
    assert (found["cocktails"].group, found["cocktails"].split) == ("clip:cocktail", "test")
    assert found["cocktail-umbrella"].group == "clip:cocktail umbrella"


def test_other_names_and_categories_are_tags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = build(monkeypatch, tmp_path, "tent-pole", "tripod", aliases={"camp-post": "tent-pole", "b-7": "tent-pole"})
    assert [tag.text for tag in found["tent-pole"].tags] == ["camp post", "travel places"]
    assert found["tripod"].tags == ()  # its category names what is held out


def test_few_drawings_of_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tally = Tally()
    names = ("bell", "bell-fill", "bell-2", "bell-thin", "bell-plus", "bell-minus", "bell-edit", "bell-off")
    found = build(monkeypatch, tmp_path, *names, tally=tally, styles=("fill", ""), left_out=("thin",), most=2)
    assert {"bell", "bell-fill"} <= set(found) and len(found) == 4
    assert tally.dropped["drawn"] == {
        "another style of the same": 1,
        "one more of the same words": 1,
        "one more of a thing with a sign added": 1,
        "crossed out": 1,
    }


def test_what_shows_only_in_motion_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden = '<path opacity="0" d="M0 0h24v24H0z">{}</path>'
    source = make_source(tmp_path, {"rain": hidden.format("<animate/>"), "frame": hidden.format("")}, {})
    tally = Tally()
    records = records_of(source, monkeypatch, tmp_path, tally)
    assert [record.id for record in records] == ["drawn/rain"] and tally.dropped["drawn"] == {"blank": 1}
