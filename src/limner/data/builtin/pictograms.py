"""The set `pictograms`: the pictograms of Unicode in eleven drawing styles, named in 28 languages."""

from collections.abc import Sequence
from pathlib import Path

from limner.data.builtin.drawings import Drawing, Report, draw, sample
from limner.data.builtin.emoji_groups import group_of
from limner.data.builtin.emoji_names import Emoji, index_names, name_key, read_emoji
from limner.data.builtin.icon_families import FAMILIES, Icon, read_icons, spelled_names
from limner.data.builtin.near_duplicates import recorded_pairs
from limner.data.builtin.report import Tally
from limner.data.builtin.splitting import Groups, split_of
from limner.data.picture_set import Record

__all__ = ["emoji_groups", "pictogram_records"]


def pictogram_records(
    families: Sequence[str], cache: Path, *, size: int, limit: int | None, tally: Tally, report: Report | None = None
) -> list[Record]:
    """Records of the families' drawings; with `limit` of that many, of concepts drawn by a stable hash."""
    drawings = _find_drawings(families, cache, tally)
    if limit is not None:
        drawings = sample(drawings, limit)
    return draw(drawings, size, tally=tally, report=report)


def emoji_groups(emoji: dict[str, Emoji]) -> dict[str, str]:
    """Concept group of each concept, near-duplicates joined."""
    groups = Groups(recorded_pairs())
    return {concept: groups.find(group_of(entry)) for concept, entry in emoji.items()}


def _find_drawings(families: Sequence[str], cache: Path, tally: Tally) -> list[Drawing]:
    emoji = read_emoji(cache)
    groups = emoji_groups(emoji)
    names: dict[str, str] = {}
    if any(not FAMILIES[family].says_code_points for family in families):
        names = index_names(emoji, cache) | spelled_names(cache)
    drawings: list[Drawing] = []
    for family in families:
        taken: set[str] = set()
        for icon in read_icons(FAMILIES[family], cache):
            concept = icon.concept or names.get(name_key(icon.name), "")
            if reason := _unfit(icon, concept, emoji, taken):
                tally.drop(family, reason)
                continue
            taken.add(concept)
            drawings.append(_drawing(family, icon, emoji[concept], groups[concept]))
    return drawings


def _unfit(icon: Icon, concept: str, emoji: dict[str, Emoji], taken: set[str]) -> str:
    if icon.has_skin_tone:
        return "the same in another skin tone"
    if concept not in emoji:
        return "not in Unicode, so without a name"
    return "a second drawing of its concept" if concept in taken else ""


def _drawing(family: str, icon: Icon, emoji: Emoji, group: str) -> Drawing:
    style = FAMILIES[family]
    record = Record(
        id=f"{family}/{emoji.concept}",
        picture=b"",
        captions=emoji.captions,
        tags=emoji.tag_captions,
        concept=emoji.concept,
        group=group,
        source=family,
        licence=style.licence,
        split="test" if style.style_test else split_of(group),
    )
    return Drawing(svg=icon.svg.encode(), record=record, style_test=style.style_test)
