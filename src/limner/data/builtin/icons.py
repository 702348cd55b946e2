"""The set `icons`: drawings of things, people and signs in many styles, with their names in English."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin.clip_art_names import name_key as title_key
from limner.data.builtin.drawings import Drawing, draw, sample
from limner.data.builtin.emoji_names import index_names, name_key, read_emoji
from limner.data.builtin.held_out import HeldOutNames, recorded_look_alikes, recorded_titles, singular
from limner.data.builtin.icon_families import read_icons, read_tables
from limner.data.builtin.icon_names import base_of, reason_to_drop, split_style, telling_category, words_of
from limner.data.builtin.icon_sources import ICON_SOURCES, IconSource
from limner.data.builtin.near_duplicates import recorded_pairs
from limner.data.builtin.pictograms import emoji_groups
from limner.data.builtin.report import Tally
from limner.data.builtin.splitting import CLIP_ART, Groups, split_of
from limner.data.picture_set import Caption, Record
from limner.data.progress import Report
from limner.data.splitting import hash_share

__all__ = ["icon_records"]

_MOST_MODIFIED = 2
_MOST_TAGS = 8
_INKS = ("#8b0000", "#7a3b00", "#5c5200", "#0b5d1e", "#00595c", "#0a3d91", "#3f1d8a", "#7a0f5e")
_INKED_RATE = 0.35


@dataclass(frozen=True, kw_only=True)
class _Found:
    """An icon with its words and those of its other names."""

    family: str
    name: str
    words: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]
    categories: tuple[str, ...]
    svg: str

    @property
    def place(self) -> str:
        """The id of its record."""
        return f"{self.family}/{self.name}"


def icon_records(
    families: Sequence[str], cache: Path, *, size: int, limit: int | None, tally: Tally, report: Report | None = None
) -> list[Record]:
    """Records of the families' icons; with `limit` of that many, of concepts drawn by a stable hash."""
    found = [each for family in families for each in _find_icons(family, cache, tally)]
    drawings = _with_places(found, cache)
    if limit is not None:
        drawings = sample(drawings, lambda drawing: drawing.record.concept, limit)
    return draw(drawings, size, tally=tally, report=report)


def _find_icons(family: str, cache: Path, tally: Tally) -> list[_Found]:
    """The icons of a family that have telling words, few of the same words and few of one thing with signs added."""
    source = ICON_SOURCES[family]
    tables = read_tables(source.family, cache)
    categories = _categories(tables.get("metadata.json", {}))
    other_names = _other_names(tables["icons.json"], source)
    named: list[tuple[int, _Found]] = []
    for icon in read_icons(source.family, cache):
        base, style = split_style(icon.name, (*source.styles, *source.left_out))
        if style in source.left_out or style not in source.styles:
            tally.drop(family, "another style of the same")
            continue
        filed = categories.get(icon.name, ())
        found = _Found(
            family=family,
            name=icon.name,
            words=words_of(base, filed),
            others=other_names.get(icon.name, ()),
            categories=filed,
            svg=icon.svg,
        )
        named.append((source.styles.index(style), found))
    wanted = _telling([each for _, each in sorted(named, key=lambda pair: (pair[0], pair[1].name))], tally)
    return _few_alike(wanted, source.most, tally)


def _telling(found: Sequence[_Found], tally: Tally) -> list[_Found]:
    every = frozenset(each.words for each in found)
    look_alikes = recorded_look_alikes()
    kept: list[_Found] = []
    for each in found:
        reason = reason_to_drop(each.words, each.categories, every)
        if each.place in look_alikes:
            reason = "near-duplicate of a held-out picture of another set"
        if reason:
            tally.drop(each.family, reason)
        else:
            kept.append(each)
    return kept


def _few_alike(found: Sequence[_Found], most: int, tally: Tally) -> list[_Found]:
    modified: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for each in found:
        if (base := base_of(each.words)) != each.words:
            modified.setdefault(base, set()).add(each.words)
    welcome = {
        words
        for every in modified.values()
        for words in sorted(every, key=lambda words: hash_share(" ".join(words)))[:_MOST_MODIFIED]
    }
    drawings: Counter[tuple[str, ...]] = Counter()
    kept: list[_Found] = []
    for each in found:
        if base_of(each.words) != each.words and each.words not in welcome:
            tally.drop(each.family, "one more of a thing with a sign added")
        elif drawings[each.words] >= most:
            tally.drop(each.family, "one more of the same words")
        else:
            drawings[each.words] += 1
            kept.append(each)
    return kept


def _with_places(found: Sequence[_Found], cache: Path) -> list[Drawing]:
    """Drawings with their concept, group and split: what bears a held-out name goes where that is held out."""
    emoji = read_emoji(cache)
    groups_of_emoji = emoji_groups(emoji)
    index = index_names(emoji, cache)
    groups = Groups(recorded_pairs())
    held = HeldOutNames(
        [(entry.labels["en"], groups_of_emoji[concept]) for concept, entry in emoji.items()],
        {spelling: groups_of_emoji[concept] for spelling, concept in index.items()},
        {title: groups.find(CLIP_ART + title) for title in recorded_titles()},
    )
    drawings: list[Drawing] = []
    for each in found:
        concept = _concept(each.words, index)
        own = groups.find(groups_of_emoji.get(concept, concept))
        drawings.append(_drawing(each, concept, held.find(each.words, *each.others) or own, held))
    return drawings


def _concept(words: Sequence[str], index: Mapping[str, str]) -> str:
    """A pictogram's concept where the name is its name, else that of clip art of this title, one and many alike."""
    caption, singulars = " ".join(words), " ".join(singular(word) for word in words)
    for spelling in (caption, singulars, f"{caption}s"):
        if name_key(spelling) in index:
            return index[name_key(spelling)]
    return CLIP_ART + title_key(singulars)


def _drawing(found: _Found, concept: str, group: str, held: HeldOutNames) -> Drawing:
    filed = [words for category in found.categories if (words := telling_category(category))]
    texts = [" ".join(words) for words in found.others] + [words for words in filed if not held.find(words.split())]
    caption = " ".join(found.words)
    record = Record(
        id=found.place,
        picture=b"",
        captions=(Caption(text=caption, language="en"),),
        tags=tuple(Caption(text=text, language="en") for text in dict.fromkeys(texts) if text != caption),
        concept=concept,
        group=group,
        source=found.family,
        licence=ICON_SOURCES[found.family].family.licence,
        split=split_of(group),
    )
    return Drawing(svg=_inked(found).encode(), record=record)


def _inked(found: _Found) -> str:
    """Its SVG in black or, by a hash of the id, in a dark colour; what shows only while it moves, shown."""
    share = hash_share(f"ink {found.place}") / _INKED_RATE
    svg = found.svg.replace("currentColor", _INKS[int(share * len(_INKS))] if share < 1 else "#000")
    return svg.replace(' opacity="0"', "") if "<animate" in svg else svg


def _categories(metadata: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Categories of each icon, by name."""
    filed: dict[str, list[str]] = {}
    for category, names in metadata.get("categories", {}).items():
        for name in names:
            filed.setdefault(name, []).append(category)
    return {name: tuple(categories) for name, categories in filed.items()}


def _other_names(table: Mapping[str, Any], source: IconSource) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Words of the aliases of each icon that are of use, by its name."""
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for alias, target in table.get("aliases", {}).items():
        words = words_of(split_style(alias, source.styles)[0])
        if len(target) == 1 and not reason_to_drop(words, (), frozenset()):
            found.setdefault(target["parent"], {})[words] = None
    return {name: tuple(others)[:_MOST_TAGS] for name, others in found.items()}
