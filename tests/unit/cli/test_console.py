import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator

import pytest
import typer
from rich.console import Console

from limner.cli.console import note, one_line, print_json, run
from limner.errors import UsageError


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A standard output that nobody reads any more, as after `| head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield


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


def echo() -> None:
    typer.echo("a line")


def table() -> None:
    Console().print("a line")


def much() -> None:
    print("a line\n" * 100_000)


@pytest.mark.parametrize("command", [echo, table, much, lambda: print_json([1])], ids=["echo", "table", "much", "json"])
@pytest.mark.parametrize("is_standalone", [True, False])
def test_a_reader_that_has_seen_enough_ends_a_command_well(
    deaf: None, command: Callable[[], None], is_standalone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    try:
        status = run(lambda: app([], standalone_mode=is_standalone))
    except SystemExit as left:
        status = left.code
    sys.stdout.flush()
    assert (status, capsys.readouterr().err) == (0, "")


def test_an_error_keeps_its_status_where_nobody_reads(deaf: None, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        print("a line")
        raise UsageError("no words")

    assert run(fail) == 2
    assert capsys.readouterr().err == "error: no words\n"
