"""Which pictures are trained on and which are held out: by hash of the group, so that no group is on both sides."""

import hashlib

import numpy as np
import pyarrow as pa

__all__ = ["hash_share", "hold_out"]

_HELD_OUT_SHARE = 0.1


def hash_share(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def hold_out(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers to train on and to validate on, of columns id, group and split.

    The set's own validation split is used where it has one. Otherwise a tenth of the groups of its training pictures
    is held out. Rows of the test split are in neither.
    """
    splits = np.array(table["split"].to_pylist())
    groups = [
        group or identity for group, identity in zip(table["group"].to_pylist(), table["id"].to_pylist(), strict=True)
    ]
    free = (splits == "train") | (splits == "")
    if (splits == "validation").any():
        return np.flatnonzero(free), np.flatnonzero(splits == "validation")
    held_out = free & np.array([hash_share(group) < _HELD_OUT_SHARE for group in groups], dtype=bool)
    if held_out.all() or not held_out.any():
        return np.flatnonzero(free), np.flatnonzero(held_out & ~free)
    return np.flatnonzero(free & ~held_out), np.flatnonzero(held_out)
