"""`limner duplicates`: near copies, pictures that are alike, and what is said where there is neither."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.command import Command
from tests.photos import paint


@pytest.fixture
def collection(limner: Command, model: Path, tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    for name, colour in (("a", "red"), ("b", "green"), ("c", "blue")):
        paint(photos / f"{name}.png", colour)
    with Image.open(photos / "a.png") as picture:
        picture.resize((96, 96), Image.Resampling.NEAREST).save(photos / "larger.png")
    status, _, err = limner("index", photos, "--to", tmp_path / "c", "--model", model)
    assert status == 0, err
    return tmp_path / "c"


def groups(limner: Command, collection: Path, *words: object) -> list[tuple[str, list[str]]]:
    status, out, err = limner("duplicates", collection, "--json", *words)
    assert status == 0, err
    found = json.loads(out)
    assert found["num_pictures"] == 4
    return [(group["kind"], sorted(Path(hit["path"]).stem for hit in group["pictures"])) for group in found["groups"]]


def test_a_copy_of_another_size_is_found_and_nothing_else(limner: Command, collection: Path) -> None:
    assert groups(limner, collection, "--threshold", 1) == [("copies", ["a", "larger"])]


def test_all_that_is_alike_enough_is_one_group_without_the_copies(limner: Command, collection: Path) -> None:
    found = groups(limner, collection, "--threshold", 0)
    assert found[0] == ("copies", ["a", "larger"])
    alike = {name for kind, names in found[1:] for name in names if kind == "alike"}
    assert not {"a", "larger"} <= alike


def test_likeness_is_that_of_a_loop_over_all_pairs(limner: Command, collection: Path) -> None:
    """Between the two most alike pictures that are no copies stands the threshold at which they are joined."""
    found = {}
    for name in "abc":
        picture = collection.parent / "photos" / f"{name}.png"
        _, out, _ = limner("search", collection, "--picture", picture, "--json")
        found |= {(name, Path(hit["path"]).stem): hit["score"] for hit in json.loads(out)["hits"]}
    pairs = {pair: score for pair, score in found.items() if pair[0] != pair[1] and "larger" not in pair}
    best = max(pairs.values())
    assert best < 0.999
    assert len(groups(limner, collection, "--threshold", best + 0.003)) == 1
    joined = groups(limner, collection, "--threshold", best - 0.003)[1:]
    assert [sorted(max(pairs, key=lambda pair: pairs[pair]))] == [names for _, names in joined]


def test_people_see_a_table_and_a_sheet(limner: Command, collection: Path, tmp_path: Path) -> None:
    status, out, err = limner("duplicates", collection, "--threshold", 1, "--sheet", tmp_path / "sheet.png")
    assert status == 0 and "larger.png" in out.replace("\n", "") and "copies" in out
    assert "wrote" in err
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300, "two pictures beside each other"


def test_a_picture_that_is_gone_is_named_and_can_only_be_alike(limner: Command, collection: Path) -> None:
    (collection.parent / "photos" / "larger.png").unlink()
    status, out, err = limner("duplicates", collection, "--threshold", 1)
    assert status == 0 and "copies" not in out and "alike" in out and "skipped" in err and "larger.png" in err


def test_no_collection_is_an_error(limner: Command, tmp_path: Path) -> None:
    status, _, err = limner("duplicates", tmp_path / "nothing")
    assert status != 0 and "nothing" in err
