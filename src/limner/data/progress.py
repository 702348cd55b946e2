"""How a long task tells what it does: numbers for a bar, sentences for a line."""

from collections.abc import Callable

__all__ = ["Report", "Say"]

Report = Callable[[int, int | None, str], None]
"""How many are done, of how many (None when nobody knows), and a note beside the bar."""

Say = Callable[[str], None]
"""A sentence for people."""
