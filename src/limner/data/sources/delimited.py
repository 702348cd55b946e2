"""CSV and TSV files as people write them: in any encoding, with any delimiter, wide fields, two columns of one name."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from limner.data.sources.texts import LEGACY_ENCODINGS, encoding_of
from limner.errors import DataError

__all__ = ["Delimited", "open_delimited"]

_SAMPLE_BYTES = 16 << 20
_WIDEST_FIELD = 4 << 20


class Delimited(NamedTuple):
    """The rows below the header, and "" or the name of an encoding other than Unicode that was assumed."""

    rows: "csv.DictReader[str]"
    columns: list[str]
    assumed: str


@contextmanager
def open_delimited(path: Path) -> Iterator[Delimited]:
    """Open a table with a header; of two columns of one name the second gets a number, as in `caption_2`.

    Raises:
        DataError: naming the line, if it is damaged.
    """
    with path.open("rb") as sample:
        encoding = encoding_of(sample.read(_SAMPLE_BYTES))
    before = csv.field_size_limit(min(sys.maxsize, _WIDEST_FIELD))
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            delimiter = _delimiter(path, file.readline())
            file.seek(0)
            rows = csv.DictReader((line.replace("\0", "") for line in file), delimiter=delimiter)
            try:
                rows.fieldnames = _numbered(rows.fieldnames or ())
                yield Delimited(rows, list(rows.fieldnames), LEGACY_ENCODINGS.get(encoding, ""))
            except csv.Error as error:
                raise DataError(f"line {rows.line_num} of {path} is damaged ({error}); repair it") from None
    finally:
        csv.field_size_limit(before)


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t|", key=header.count)


def _numbered(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, unique = 1, name
        while name and unique in found:
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found
