"""Which split a concept group belongs to, and groups that are joined until nothing similar crosses a split."""

import hashlib
from collections.abc import Iterable

__all__ = ["Groups", "TRAIN_GROUPS", "split_of"]

TRAIN_GROUPS = frozenset({"country-flags"})
"""Groups that are always trained on: nobody can guess the name of a flag that they never saw."""


def split_of(group: str, *, test_rate: float = 0.15, validation_rate: float = 0.10) -> str:
    """Split of a concept group by a hash of its name, the same on every machine."""
    if group in TRAIN_GROUPS:
        return "train"
    position = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    if position < test_rate:
        return "test"
    return "validation" if position < test_rate + validation_rate else "train"


class Groups:
    """Disjoint sets of group names; a set is called by its least member under (`rank`, name)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._parents: dict[str, str] = {}
        for one, other in pairs:
            self.join(one, other)

    def find(self, name: str) -> str:
        """The name that stands for the set of `name`."""
        root = name
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while name != root:
            self._parents[name], name = root, self._parents.get(name, root)
        return root

    def join(self, one: str, other: str) -> None:
        """Make the sets of `one` and `other` the same set."""
        first, second = sorted((self.find(one), self.find(other)), key=_precedence)
        self._parents[second] = first


def _precedence(name: str) -> tuple[bool, bool, str]:
    """Groups that stay in train lead, then pictograms, then clip art, so that one set never moves another's split."""
    return name not in TRAIN_GROUPS, name.startswith("clip:"), name
