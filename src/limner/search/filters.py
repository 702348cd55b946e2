"""Conditions on the columns of a collection, in SQL."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from limner.errors import UsageError

__all__ = ["checked_condition", "is_about_condition", "named_columns"]

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`")
_SEVERAL_STATEMENTS = re.compile(r";|--|/\*")
# The first before any row is read, the second for what only a row shows, such as a division by zero.
_COMPLAINTS = ("Invalid user input", "Error applying filter expression")
_UNKNOWN_COLUMN = re.compile(r"No field named (.+?)\. ")


def checked_condition(where: str, known: Collection[str] = ()) -> str:
    """Return a condition in parentheses, in which the engine cannot take its end for the begin of something else.

    A `known` column in double quotes is one, as in standard SQL; the engine would take it for a text.

    Raises:
        UsageError: for an empty text, several statements, or a comment that would hide part of it.
    """
    if not where.strip():
        raise UsageError("--where is empty; write a condition like \"width > 100 AND caption LIKE '%fox%'\"")
    plain = _QUOTED.sub("''", where)
    if _SEVERAL_STATEMENTS.search(plain):
        raise UsageError("--where takes one condition, without ';', '--' and '/*' outside of quotes")
    depth = 0
    for sign in plain:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    if depth:
        raise UsageError("--where takes one condition, and the parentheses of this one do not match")

    def as_column(quoted: re.Match[str]) -> str:
        return f"`{quoted[0][1:-1]}`" if quoted[0][0] == '"' and quoted[0][1:-1] in known else quoted[0]

    return f"({_QUOTED.sub(as_column, where)})"


def is_about_condition(error: Exception) -> bool:
    """Whether the engine complains of a condition and not of the table."""
    return any(sign in str(error) for sign in _COMPLAINTS)


@contextmanager
def named_columns(known: Iterable[str]) -> Iterator[None]:
    """Turn the engine's complaints about a condition into a `UsageError` that names the known columns."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not is_about_condition(error):
            raise
        text = str(error)
        columns = ", ".join(sorted(known))
        unknown = _UNKNOWN_COLUMN.search(text)
        if unknown:
            raise UsageError(f"--where: there is no column {unknown[1]}; known columns: {columns}") from None
        reason = re.sub(r"^.*(Invalid user input|filter expression to batch): ", "", text.splitlines()[0])
        reason = reason.split(", /")[0]
        raise UsageError(f"--where cannot be understood ({reason}); known columns: {columns}") from None
