"""Pictures that look the same at 16 x 16 pixels: found, joined into one group, and kept from crossing splits.

The pairs of groups found among the built-in sets are recorded in `near_duplicates.json`, so that the splits do not
hang on the last bit of a renderer. What a build still finds across splits is left out of it.
"""

import json
from collections.abc import Sequence
from importlib import resources

import numpy as np
from jaxtyping import Float32

__all__ = ["find_pairs", "leaking_pictures", "recorded_pairs"]

_LARGEST_RMS = 0.03
_BLOCK = 512
_STRENGTH = {"train": 0, "validation": 1, "test": 2}


def find_pairs(thumbnails: Float32[np.ndarray, "pictures values"], rms: float = _LARGEST_RMS) -> list[tuple[int, int]]:
    """Pairs (smaller position first) of pictures whose colours in [0, 1] differ by at most `rms`, root mean square."""
    squares = np.einsum("pv,pv->p", thumbnails, thumbnails)
    limit = rms**2 * thumbnails.shape[1]
    found: list[tuple[int, int]] = []
    for start in range(0, len(thumbnails), _BLOCK):
        block = thumbnails[start : start + _BLOCK]
        distances = squares[start : start + _BLOCK, None] + squares[start:] - 2 * block @ thumbnails[start:].T
        ones, others = np.nonzero(distances <= limit + 1e-4)
        found += [(start + one, start + other) for one, other in zip(ones.tolist(), others.tolist(), strict=True)]
    return [(one, other) for one, other in found if one < other]


def leaking_pictures(
    splits: Sequence[str], style_test: Sequence[bool], pairs: Sequence[tuple[int, int]]
) -> dict[int, str]:
    """Positions to leave out so that no pair has its pictures in two splits, each with the reason.

    The picture of the larger split goes, except that a style-test picture goes when training holds its like.
    """
    leaving: dict[int, str] = {}
    for one, other in pairs:
        if splits[one] == splits[other] or one in leaving or other in leaving:
            continue
        weaker, stronger = sorted((one, other), key=lambda position: _STRENGTH[splits[position]])
        if style_test[stronger]:
            leaving[stronger] = f"near-duplicate of a {splits[weaker]} picture"
        else:
            leaving[weaker] = f"near-duplicate of a {splits[stronger]} picture"
    return leaving


def recorded_pairs() -> list[tuple[str, str]]:
    """Pairs of groups that hold near-duplicates of each other, as measured on the built-in sets."""
    text = resources.files(__package__).joinpath("near_duplicates.json").read_text(encoding="utf-8")
    return [(one, other) for one, other in json.loads(text)["pairs"]]
