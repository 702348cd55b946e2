"""The set `pictograms`: the pictograms of Unicode in eleven drawing styles, named in 28 languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.data.builtin.drawings import Drawing, draw, sample
from limner.data.builtin.emoji_groups import group_of
from limner.data.builtin.emoji_names import Emoji, index_names, name_key, read_emoji
from limner.data.builtin.icon_families import FAMILIES, Icon, read_icons, spelled_names
from limner.data.builtin.near_duplicates import recorded_pairs
from limner.data.builtin.report import Tally
from limner.data.builtin.splitting import Groups, split_of
from limner.data.picture_set import Record
from limner.data.progress import Report

__all__ = ["emoji_groups", "pictogram_records"]


def pictogram_records(
    families: Sequence[str], cache: Path, *, size: int, limit: int | None, tally: Tally, report: Report | None = None
) -> list[Record]:
    """Records of the families' drawings; with `limit` of that many, of concepts drawn by a stable hash."""
    emoji = read_emoji(cache)
    found = _find_icons(families, emoji, cache, tally)
    if limit is not None:
        found = sample(found, lambda each: each.concept, limit)
    groups = emoji_groups(emoji)
    drawings = [_drawing(each, emoji[each.concept], groups[each.concept]) for each in found]
    return draw(drawings, size, tally=tally, report=report)


def emoji_groups(emoji: dict[str, Emoji]) -> dict[str, str]:
    """Concept group of each concept, near-duplicates joined."""
    groups = Groups(recorded_pairs())
    return {concept: groups.find(group_of(entry)) for concept, entry in emoji.items()}


@dataclass(frozen=True, kw_only=True)
class _Found:
    family: str
    concept: str
    svg: str


def _find_icons(families: Sequence[str], emoji: dict[str, Emoji], cache: Path, tally: Tally) -> list[_Found]:
    """The drawings that show a pictogram of Unicode, one a concept and family."""
    names: dict[str, str] = {}
    if any(not FAMILIES[family].says_code_points for family in families):
        names = index_names(emoji, cache) | spelled_names(cache)
    found: list[_Found] = []
    for family in families:
        taken: set[str] = set()
        for icon in read_icons(FAMILIES[family], cache):
            concept = icon.concept or names.get(name_key(icon.name), "")
            if reason := _unfit(icon, concept, emoji, taken):
                tally.drop(family, reason)
                continue
            taken.add(concept)
            found.append(_Found(family=family, concept=concept, svg=icon.svg))
    return found


def _unfit(icon: Icon, concept: str, emoji: dict[str, Emoji], taken: set[str]) -> str:
    if icon.has_skin_tone:
        return "the same in another skin tone"
    if concept not in emoji:
        return "not in Unicode, so without a name"
    return "a second drawing of its concept" if concept in taken else ""


def _drawing(found: _Found, emoji: Emoji, group: str) -> Drawing:
    style = FAMILIES[found.family]
    record = Record(
        id=f"{found.family}/{found.concept}",
        picture=b"",
        captions=emoji.captions,
        tags=emoji.tag_captions,
        concept=found.concept,
        group=group,
        source=found.family,
        licence=style.licence,
        split="test" if style.style_test else split_of(group),
    )
    return Drawing(svg=found.svg.encode(), record=record, style_test=style.style_test)
