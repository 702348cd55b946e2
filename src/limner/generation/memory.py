"""Work in batches that become smaller by themselves where memory does not suffice."""

from collections.abc import Callable

import torch

from limner.errors import LimnerError

__all__ = ["in_batches"]

# What the allocator of processors says; those of accelerators raise an error of their own.
_SAYINGS = ("not enough memory", "can't allocate memory")


def in_batches(work: Callable[[range], None], count: int, batch_size: int) -> None:
    """Do the work on 0 to `count`, a range at a time; where memory does not suffice, by halves from there on.

    Raises:
        LimnerError: if memory does not suffice for one.
    """
    start = 0
    while start < count:
        rows = range(start, min(start + batch_size, count))
        if _fits(work, rows):
            start = rows.stop
        elif len(rows) > 1:
            batch_size = len(rows) // 2
        else:
            raise LimnerError(
                "memory does not suffice for a single picture; end other programs, or use a smaller model"
            )


def _fits(work: Callable[[range], None], rows: range) -> bool:
    """Try the work; when this returns, what a failed try held is free again."""
    try:
        work(rows)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return False
    return True


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(saying in str(error) for saying in _SAYINGS)
