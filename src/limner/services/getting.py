"""Get a built-in picture set."""

from collections.abc import Sequence
from pathlib import Path

from limner.data.builtin import BuildReport, build
from limner.data.progress import Report

__all__ = ["BuildReport", "get_set"]


def get_set(
    name: str,
    out: Path | None = None,
    *,
    size: int | None = None,
    families: Sequence[str] = (),
    limit: int | None = None,
    report: Report | None = None,
) -> BuildReport:
    """Build the named set, or say what is in it when it is there; `report` hears the family that is drawn.

    Raises:
        UsageError: for an unknown set, family, size or limit.
        DataError: if a package cannot be had, or something else is at `out`.
    """
    return build(name, out, size=size, families=families, limit=limit, report=report)
