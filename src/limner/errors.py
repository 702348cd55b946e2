"""The named errors: what a user can mend, each with a sentence that says how."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "CollectionError",
    "DataError",
    "LimnerError",
    "ModelError",
    "PictureError",
    "TrainingError",
    "UsageError",
    "system_errors",
]


class LimnerError(ValueError):
    """Something that the user can mend; the message names the remedy. Exit status 1."""


class UsageError(LimnerError):
    """The command or call itself is off: an unknown key, column, option or name. Exit status 2."""


class PictureError(LimnerError):
    """A file or byte string that is not a picture that can be shown safely."""


class DataError(LimnerError):
    """A picture set or a source of one that is missing, empty, damaged or of another layout."""


class ModelError(LimnerError):
    """A model folder that is missing, incomplete, damaged or of another kind."""


class CollectionError(LimnerError):
    """A collection that is missing, damaged, or made with another model."""


class TrainingError(LimnerError):
    """Training cannot start, continue or trust its numbers."""


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Make an `OSError` with its number of what an engine passes on as text alone, such as a full disk."""
    try:
        yield
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from None
