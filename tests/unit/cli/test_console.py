import errno
import io
import json
import os
import sys

import pytest

from limner.cli.console import note, one_line, print_json, run


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r", "utf-8"])
def test_json_is_json_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"query": "красная лиса 🦊 \xe9 \udcff"}
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace"))
    print_json(value)
    assert json.loads(written.getvalue().decode(encoding)) == value


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    note("skipped a\nb\x1b[31m.png: is no picture")
    assert capsys.readouterr().err == "skipped a\\nb\\x1b[31m.png: is no picture\n"
    assert one_line("синий кит 🦊") == "синий кит 🦊"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EFBIG, "free some space"),
        (errno.EROFS, "/there; choose another place"),
        (errno.EACCES, "/there; choose another place"),
    ],
)
def test_what_the_system_refuses_names_a_remedy(code: int, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    def refused() -> None:
        raise OSError(code, os.strerror(code), "/there")

    assert run(refused) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and remedy in err and err.count("\n") == 1
