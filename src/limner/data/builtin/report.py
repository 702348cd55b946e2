"""What a build kept, dropped, and why, by family."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limner.data.picture_set import Record

__all__ = ["BuildReport", "FamilyReport", "Tally"]


@dataclass(frozen=True, kw_only=True)
class FamilyReport:
    """Pictures of one family: how many were kept, by split, and how many were dropped, by reason."""

    family: str
    licence: str
    kept: int
    splits: Mapping[str, int]
    dropped: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """A built set: what it is made of and whether it was there already."""

    name: str
    path: str
    reused: bool
    num_pictures: int
    families: tuple[FamilyReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "families": [dict(family.__dict__) for family in self.families]}


@dataclass(kw_only=True)
class Tally:
    """Counts that grow while a set is built."""

    splits: dict[str, Counter[str]] = field(default_factory=dict)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)

    def keep(self, record: Record) -> None:
        """Count a picture that goes into the set."""
        self.splits.setdefault(record.source, Counter())[record.split] += 1
        self.licences[record.source] = record.licence

    def drop(self, family: str, reason: str, count: int = 1) -> None:
        """Count pictures that do not."""
        self.dropped.setdefault(family, Counter())[reason] += count

    def families(self) -> tuple[FamilyReport, ...]:
        """A row a family."""
        return tuple(
            FamilyReport(
                family=family,
                licence=self.licences.get(family, ""),
                kept=sum(self.splits.get(family, {}).values()),
                splits=dict(self.splits.get(family, {})),
                dropped=dict(self.dropped.get(family, {})),
            )
            for family in dict.fromkeys([*self.splits, *self.dropped])
        )
