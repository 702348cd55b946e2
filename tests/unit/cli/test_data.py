import json
from pathlib import Path

import pytest
from PIL import Image
from tests.command import Command, finish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    Image.new("RGB", (40, 30), "red").save(source / "red_fox.png")
    Image.new("RGB", (40, 30), "blue").save(source / "синий_кит.png")
    (source / "broken.png").write_bytes(b"broken")
    return source


def test_import_show_check(limner: Command, folder: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "set", tmp_path / "sheet.png"
    status, printed, notes = limner("data", "import", folder, out, "--language", "en")
    assert status == 0
    assert "kept" in printed and "left out" in printed
    assert "file names are used" in notes and "set.report.jsonl" in notes
    status, printed, _ = limner("data", "show", out, "--out", sheet)
    assert status == 0 and "синий кит" in printed
    with Image.open(sheet) as image:
        assert image.width > 300
    status, printed, _ = limner("data", "check", folder)
    assert status == 0 and "broken.png" in printed


def test_json_is_one_object_alone_on_standard_output(limner: Command, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    found = {}
    for name, words in {
        "import": ("import", folder, out),
        "show": ("show", out),
        "check": ("check", out),
    }.items():
        status, printed, _ = limner("data", *words, "--json")
        assert status == 0
        found[name] = json.loads(printed)
    assert (found["import"]["num_pictures"], found["import"]["num_rejected"]) == (2, 1)
    assert [picture["id"] for picture in found["show"]["sample"]] == ["red_fox.png", "синий_кит.png"]
    assert found["check"]["num_pictures"] == 2


def test_errors_are_one_sentence_with_a_status(limner: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for status, words in (
        (1, ("import", tmp_path / "empty", tmp_path / "set")),
        (1, ("import", tmp_path / "nowhere", tmp_path / "set")),
        (2, ("import", folder, tmp_path / "empty" / "..", "--json")),
        (1, ("show", folder)),
        (1, ("check", tmp_path / "empty")),
    ):
        found, out, err = limner("data", *words)
        assert found == status, words
        assert out == ""
        assert err.strip().splitlines()[-1].startswith("error: ")
        assert "Traceback" not in err
    assert not (tmp_path / "set").exists()


def test_a_seed_below_zero_is_wrong_usage(tmp_path: Path) -> None:
    status, out, err = finish("data", "show", tmp_path, "--seed", "-1")
    assert (status, out) == (2, "") and "--seed" in err and "Traceback" not in err


def test_a_table_with_its_own_column_names(limner: Command, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "bilder.csv"
    table.write_text("bild;wort\nred_fox.png;Fuchs\n")
    options = ("--pictures", folder, "--picture-column", "bild", "--caption-column", "wort", "--language", "de")
    assert limner("data", "import", table, tmp_path / "set", *options)[0] == 0
    assert limner("data", "import", table, tmp_path / "other", "--picture-column", "x")[0] == 2
