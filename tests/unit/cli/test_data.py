import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from limner.cli.console import run
from limner.cli.main import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    Image.new("RGB", (40, 30), "red").save(source / "red_fox.png")
    Image.new("RGB", (40, 30), "blue").save(source / "синий_кит.png")
    (source / "broken.png").write_bytes(b"broken")
    return source


def limner(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["limner", *map(str, words)])
    try:
        return run(app)
    except SystemExit as left:
        return int(left.code or 0)


def test_import_show_check(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "set", tmp_path / "sheet.png"
    assert limner(monkeypatch, "data", "import", folder, out, "--language", "en") == 0
    printed = capsys.readouterr()
    assert "kept" in printed.out and "left out" in printed.out
    assert "file names are used" in printed.err and "set.report.jsonl" in printed.err
    assert limner(monkeypatch, "data", "show", out, "--out", sheet) == 0
    assert "синий кит" in capsys.readouterr().out
    with Image.open(sheet) as image:
        assert image.width > 300
    assert limner(monkeypatch, "data", "check", folder) == 0
    assert "broken.png" in capsys.readouterr().out


def test_json_is_one_object_alone_on_standard_output(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    found = {}
    for name, words in {
        "import": ("import", folder, out),
        "show": ("show", out),
        "check": ("check", out),
    }.items():
        assert limner(monkeypatch, "data", *words, "--json") == 0
        found[name] = json.loads(capsys.readouterr().out)
    assert (found["import"]["num_pictures"], found["import"]["num_rejected"]) == (2, 1)
    assert [picture["id"] for picture in found["show"]["sample"]] == ["red_fox.png", "синий_кит.png"]
    assert found["check"]["num_pictures"] == 2


def test_errors_are_one_sentence_with_a_status(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for status, words in (
        (1, ("import", tmp_path / "empty", tmp_path / "set")),
        (1, ("import", tmp_path / "nowhere", tmp_path / "set")),
        (2, ("import", folder, tmp_path / "empty" / "..", "--json")),
        (1, ("show", folder)),
        (1, ("check", tmp_path / "empty")),
    ):
        assert limner(monkeypatch, "data", *words) == status, words
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.strip().splitlines()[-1].startswith("error: ")
        assert "Traceback" not in printed.err
    assert not (tmp_path / "set").exists()


def test_a_table_with_its_own_column_names(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "bilder.csv"
    table.write_text("bild;wort\nred_fox.png;Fuchs\n")
    options = ("--pictures", folder, "--picture-column", "bild", "--caption-column", "wort", "--language", "de")
    assert limner(monkeypatch, "data", "import", table, tmp_path / "set", *options) == 0
    assert limner(monkeypatch, "data", "import", table, tmp_path / "other", "--picture-column", "x") == 2
