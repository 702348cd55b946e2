"""Names and tags of pictograms in many languages, and the concepts that they stand for (emojibase, Unicode CLDR)."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin.packages import Package, fetch, read_members

__all__ = ["EMOJIBASE", "Emoji", "concept_of", "group_of", "has_skin_tone", "index_names", "name_key", "read_emoji"]

EMOJIBASE = Package(
    client="npm",
    name="emojibase-data",
    version="17.0.0",
    sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)

_SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
_HEART_SUBGROUP_LETTER = "1F48C"


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """One pictogram of Unicode: code points, names and tags by language, and where CLDR files it."""

    concept: str
    labels: dict[str, str]
    tags: dict[str, tuple[str, ...]]
    subgroup: str


def concept_of(hexcode: str) -> str:
    """Code points, dash-joined, without variation selectors and skin tones."""
    return "-".join(part for part in hexcode.upper().split("-") if part != "FE0F" and part not in _SKIN_TONES)


def has_skin_tone(hexcode: str) -> bool:
    """Whether a code point sequence carries a skin tone."""
    parts = hexcode.upper().split("-")
    return len(parts) > 1 and any(part in _SKIN_TONES for part in parts)


_PERSON_FORMS = {
    "1F468": "1F9D1", "1F469": "1F9D1",
    "1F466": "1F9D2", "1F467": "1F9D2",
    "1F474": "1F9D3", "1F475": "1F9D3",
    "1F478": "1FAC5", "1F934": "1FAC5",
    "1F57A": "1F483",
    "1F930": "1FAC3", "1FAC4": "1FAC3",
    "1F936": "1F385",
    "1F46B": "1F46C", "1F46D": "1F46C",
}  # fmt: skip
_ZWJ_FORMS = {"1F9D1-1F384": "1F385"}


def group_of(emoji: Emoji) -> str:
    """Concept group: the man, woman and person forms together, and the members of a series together."""
    concept = emoji.concept
    if (series := _series_of(concept, emoji.subgroup)) is not None:
        return series
    parts = [part for part in concept.split("-") if part not in {"200D", "2640", "2642", "27A1"}]
    form = "-".join(_PERSON_FORMS.get(part, part) for part in parts)
    return _ZWJ_FORMS.get(form, form)


def _series_of(concept: str, subgroup: str) -> str | None:
    points = [int(part, 16) for part in concept.split("-")]
    first = points[0]
    for name, codes in _SERIES.items():
        if first in codes and len(points) == 1:
            return name
    if subgroup == "heart" and concept != _HEART_SUBGROUP_LETTER:
        return "hearts"
    if subgroup == "keycap":
        return "keycaps"
    if subgroup == "country-flag" or subgroup == "subdivision-flag":
        return "country-flags"
    if subgroup == "family" or first == 0x1F46A or _CHILDREN & set(points[1:]):
        return _couple(points)
    return None


_CHILDREN = {0x1F466, 0x1F467, 0x1F9D2}


def _couple(points: list[int]) -> str:
    if 0x1F48B in points or points[0] == 0x1F48F:
        return "kiss"
    if 0x2764 in points or points[0] == 0x1F491:
        return "couple"
    return "holding-hands" if 0x1F91D in points or points[0] in range(0x1F46B, 0x1F46E) else "family"


_SERIES: dict[str, frozenset[int]] = {
    "clocks": frozenset(range(0x1F550, 0x1F568)),
    "moons": frozenset(range(0x1F311, 0x1F321 - 3)) - {0x1F319},
    "squares": frozenset({*range(0x1F7E5, 0x1F7EC), 0x2B1B, 0x2B1C, *range(0x25FB, 0x25FF), 0x25AA, 0x25AB, 0x1F532,
                          0x1F533}),
    "circles": frozenset({*range(0x1F7E0, 0x1F7E5), 0x1F534, 0x1F535, 0x26AA, 0x26AB, 0x2B55}),
    "diamonds": frozenset(range(0x1F536, 0x1F53A)),
    "triangles": frozenset(range(0x1F53A, 0x1F53E)),
}  # fmt: skip


def name_key(name: str) -> str:
    """Letters and digits of a name in lower case, so that spellings of different families meet."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("flag-for-", "flag-", 1))


def read_emoji(cache: Path) -> dict[str, Emoji]:
    """Every pictogram that emojibase names, by concept."""
    files = _read_json(cache)
    subgroups = files["meta/groups.json"]["subgroups"]
    labels: dict[str, dict[str, str]] = {}
    tags: dict[str, dict[str, tuple[str, ...]]] = {}
    found_in: dict[str, str] = {}
    for name in sorted(files):
        language, _, leaf = name.partition("/")
        if leaf != "data.json":
            continue
        for entry in files[name]:
            concept = concept_of(entry["hexcode"])
            if not concept or has_skin_tone(entry["hexcode"]):
                continue
            labels.setdefault(concept, {})[language] = entry["label"].strip()
            tags.setdefault(concept, {})[language] = tuple(tag.strip() for tag in entry.get("tags", ()))
            found_in[concept] = subgroups.get(str(entry.get("subgroup", "")), "")
    return {
        concept: Emoji(concept=concept, labels=names, tags=tags[concept], subgroup=found_in[concept])
        for concept, names in labels.items()
        if found_in[concept]
    }


def index_names(emoji: dict[str, Emoji], cache: Path) -> dict[str, str]:
    """Concept of each English name or short code, by `name_key`; a name of two concepts is left out."""
    names: dict[str, set[str]] = {}
    for concept, entry in emoji.items():
        label = entry.labels["en"]
        for spelling in {label, re.sub(r"\(.*?\)", "", label), label.replace("&", "and")}:
            names.setdefault(name_key(spelling), set()).add(concept)
    exact = {key: next(iter(found)) for key, found in names.items() if len(found) == 1}
    extra: dict[str, set[str]] = {}
    for name, table in _read_json(cache).items():
        if "/shortcodes/" not in name or not name.startswith("en/"):
            continue
        for hexcode, codes in table.items():
            concept = concept_of(hexcode)
            if concept in emoji and not has_skin_tone(hexcode):
                for code in [codes] if isinstance(codes, str) else codes:
                    extra.setdefault(name_key(code), set()).add(concept)
    return {key: next(iter(found)) for key, found in extra.items() if len(found) == 1} | exact


def _read_json(cache: Path) -> dict[str, Any]:
    def wanted(name: str) -> bool:
        return name.endswith(("/data.json", "meta/groups.json")) or (
            "/en/shortcodes/" in name and name.endswith(".json")
        )

    members: Iterable[tuple[str, bytes]] = read_members(fetch(EMOJIBASE, cache), wanted)
    return {name.removeprefix("package/"): json.loads(content) for name, content in members}
