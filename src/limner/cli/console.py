"""How commands speak: facts on standard output, everything else on standard error, errors in one sentence."""

import errno
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from limner.errors import LimnerError, UsageError

__all__ = ["note", "note_skipped", "one_line", "parse_settings", "print_json", "run", "warn"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def print_json(value: Any) -> None:
    """Print one JSON object on one line of standard output."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not is_unicode) + "\n")
    sys.stdout.flush()


def one_line(text: str) -> str:
    r"""Return a text in which control characters, which a file name may hold, are shown as \n or \x1b."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def note(text: str) -> None:
    """Print a line for people on standard error."""
    sys.stderr.write(one_line(text) + "\n")
    sys.stderr.flush()


def note_skipped(skipped: Mapping[Any, str]) -> None:
    """Name each picture that was left out, and why."""
    for path, reason in skipped.items():
        note(f"skipped {path}: {reason}")


def warn(text: str) -> None:
    """Print a warning on standard error."""
    note(f"warning: {text}")


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Turn `a.b=c` words into a dict.

    Raises:
        UsageError: for a word without an equals sign.
    """
    for setting in settings:
        if "=" not in setting:
            raise UsageError(f"--set takes name=value, got '{setting}'")
    return dict(setting.split("=", 1) for setting in settings)


def run(command: Callable[[], Any]) -> int:
    """Run the command line and return its exit status: 2 for wrong usage, 1 for other errors of the user."""
    # A file name may hold bytes, and a text letters, that the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What Pillow warns of is refused or harmless, and reported by ourselves where it matters.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    stream = sys.stdout
    sys.stdout = cast(Any, _Output(stream))
    try:
        return _run(command)
    except _ReaderGoneError:
        return 0
    finally:
        sys.stdout = stream
        _flush_for_good(stream)


class _ReaderGoneError(BaseException):
    """Nobody reads standard output any more; no OSError, for which click and rich would end with their own status."""


class _Output:
    """Standard output that says when its reader has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _telling():
            return int(self._stream.write(text))

    def flush(self) -> None:
        with _telling():
            self._stream.flush()


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise _ReaderGoneError from None


def _flush_for_good(stream: Any) -> None:
    """Write what is left; what nobody reads would fail once more, and be told of, at the very end."""
    try:
        stream.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _run(command: Callable[[], Any]) -> int:
    try:
        command()
    except LimnerError as error:
        note(f"error: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        if error.errno in _FULL_DISK:
            note("error: the disk is full; free some space and run the command again")
            return 1
        remedy = "; choose another place, or grant access to it" if error.errno in _REFUSED else ""
        note(f"error: {error.strerror or error}: {error.filename or ''}".rstrip(": ") + remedy)
        return 1
    except KeyboardInterrupt:
        note("stopped")
        return 130
    return 0
