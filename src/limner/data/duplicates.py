"""Pictures that are the same, or look the same when they are small."""

from collections.abc import Sequence

import numpy as np
from einops import rearrange, reduce
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from limner.data.thumbnails import THUMBNAIL_SIZE, Thumbnail

__all__ = ["linked", "near_duplicates"]

_BLOCK = THUMBNAIL_SIZE // 2

Places = Int[np.ndarray, " places"]


def near_duplicates(thumbnails: Sequence[Thumbnail], *, threshold: float = 0.03) -> list[list[int]]:
    """Return groups of positions, joined where the root mean square difference is at most `threshold` of full scale.

    Means of quarters are compared first, by a tree; they are never further apart than the pixels.
    """
    if len(thumbnails) < 2:
        return []
    whole, kind = np.unique(rearrange(np.stack(list(thumbnails)), "n h w c -> n (h w c)"), axis=0, return_inverse=True)
    quarters = reduce(
        rearrange(whole, "n (h w c) -> n h w c", h=THUMBNAIL_SIZE, w=THUMBNAIL_SIZE).astype(np.float32),
        "n (h p) (w q) c -> n (h w c)",
        "mean",
        p=_BLOCK,
        q=_BLOCK,
    )
    radius = threshold * 255 * np.sqrt(whole.shape[1])
    tree = KDTree(quarters * _BLOCK)
    left: list[int] = []
    right: list[int] = []
    for place, point in enumerate(tree.data):
        near = np.array(tree.query_ball_point(point, radius + 1e-3), dtype=np.int64)
        near = near[near > place]
        distance = np.square(whole[near].astype(np.int32) - whole[place].astype(np.int32)).sum(axis=1)
        close = near[distance <= radius**2].tolist()
        left += [place] * len(close)
        right += close
    return linked(left, right, len(whole), which=kind.reshape(-1))


def linked(
    left: Sequence[int] | Places, right: Sequence[int] | Places, count: int, *, which: Places | None = None
) -> list[list[int]]:
    """Return the groups of two or more of `count` things that links from `left` to `right` connect.

    Positions in the groups are those of things, or of `which`, the thing that stands at each position.
    """
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(count, count))
    _, component = connected_components(links, directed=False)
    groups: dict[int, list[int]] = {}
    for place, number in enumerate((component if which is None else component[which]).tolist()):
        groups.setdefault(number, []).append(place)
    return [group for group in groups.values() if len(group) > 1]
