"""Which split a concept group belongs to, and groups joined until nothing alike crosses a split."""

from collections.abc import Iterable

from limner.data.splitting import hash_share

__all__ = ["CLIP_ART", "TRAIN_GROUPS", "Groups", "split_of"]

TRAIN_GROUPS = frozenset({"country-flags"})
"""Groups that are always trained on: nobody can guess the name of a flag that they never saw."""

CLIP_ART = "clip:"
"""What the names of clip art's own concepts and groups begin with."""


def split_of(group: str, *, test_rate: float = 0.15, validation_rate: float = 0.10) -> str:
    """Split of a concept group by a hash of its name, the same on every machine and in every set."""
    if group in TRAIN_GROUPS:
        return "train"
    share = hash_share(group)
    if share < test_rate:
        return "test"
    return "validation" if share < test_rate + validation_rate else "train"


class Groups:
    """Disjoint sets of group names; one name stands for each set.

    Groups that stay in train lead, then those of pictograms, then those of clip art: so joining clip art to a
    pictogram never moves the pictogram to another split.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._parents: dict[str, str] = {}
        for one, other in pairs:
            self.join(one, other)

    def find(self, name: str) -> str:
        """The name that stands for the set of `name`."""
        while name in self._parents:
            name = self._parents[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Make the sets of `one` and `other` one set."""
        first, second = sorted((self.find(one), self.find(other)), key=_precedence)
        if first != second:
            self._parents[second] = first


def _precedence(name: str) -> tuple[bool, bool, str]:
    return name not in TRAIN_GROUPS, name.startswith(CLIP_ART), name
