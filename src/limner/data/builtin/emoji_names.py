"""Names and tags of pictograms in 28 languages (emojibase, which carries Unicode's CLDR), by concept."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from limner.data.builtin.packages import Package, fetch, read_members
from limner.data.picture_set import Caption

__all__ = ["EMOJIBASE", "Emoji", "concept_of", "has_skin_tone", "index_names", "name_key", "read_emoji", "unambiguous"]

EMOJIBASE = Package(
    client="npm",
    name="emojibase-data",
    version="17.0.0",
    sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)

_SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
_VARIATION_SELECTOR = "FE0F"
_FIRST_LANGUAGE = "en"


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """One pictogram of Unicode: its concept, where CLDR files it, and names and tags by language."""

    concept: str
    subgroup: str
    labels: dict[str, str]
    tags: dict[str, tuple[str, ...]]

    @cached_property
    def captions(self) -> tuple[Caption, ...]:
        """The name in every language, English first."""
        return tuple(Caption(text=self.labels[language], language=language) for language in _languages(self.labels))

    @cached_property
    def tag_captions(self) -> tuple[Caption, ...]:
        """The tags in every language, English first."""
        return tuple(
            Caption(text=tag, language=language) for language in _languages(self.tags) for tag in self.tags[language]
        )


def _languages(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lambda language: (language != _FIRST_LANGUAGE, language))


@cache
def concept_of(hexcode: str) -> str:
    """Code points, joined by dashes, without variation selectors and skin tones."""
    return "-".join(
        part for part in hexcode.upper().split("-") if part != _VARIATION_SELECTOR and part not in _SKIN_TONES
    )


@cache
def has_skin_tone(hexcode: str) -> bool:
    """Whether a sequence of code points shows someone in one skin tone."""
    first, *rest = hexcode.upper().split("-")
    return bool(_SKIN_TONES.intersection(rest)) or (bool(rest) and first in _SKIN_TONES)


def name_key(name: str) -> str:
    """Letters and digits of a name in lower case, so that the spellings of different families meet."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("flag-for-", "flag-", 1))


def read_emoji(cache: Path) -> dict[str, Emoji]:
    """Every pictogram that emojibase names, by concept."""
    files = dict(_read_json(cache, r"package/(meta/groups|[a-z-]+/data)\.json"))
    subgroups = files.pop("meta/groups.json")["subgroups"]
    labels: dict[str, dict[str, str]] = {}
    tags: dict[str, dict[str, tuple[str, ...]]] = {}
    subgroup_of: dict[str, str] = {}
    for name in sorted(files):
        language = name.partition("/")[0]
        for entry in files[name]:
            concept = concept_of(entry["hexcode"])
            subgroup = subgroups.get(str(entry.get("subgroup", "")), "")
            if concept and subgroup and not has_skin_tone(entry["hexcode"]):
                labels.setdefault(concept, {})[language] = entry["label"].strip()
                tags.setdefault(concept, {})[language] = tuple(tag.strip() for tag in entry.get("tags", ()))
                subgroup_of[concept] = subgroup
    return {
        concept: Emoji(concept=concept, subgroup=subgroup_of[concept], labels=labels[concept], tags=tags[concept])
        for concept in labels
    }


def index_names(emoji: dict[str, Emoji], cache: Path) -> dict[str, str]:
    """Concept of each English name, short code and Unicode name, by `name_key`, where it names only one.

    A CLDR name goes before a short code, and that before a Unicode name.
    """
    labels = [
        (spelling, concept)
        for concept, entry in emoji.items()
        for label in [entry.labels[_FIRST_LANGUAGE]]
        for spelling in (label, re.sub(r"\(.*?\)", "", label), label.replace("&", "and"))
        if entry.subgroup != "keycap"
    ]
    codes: list[tuple[str, str]] = []
    names: list[tuple[str, str]] = []
    for file, table in _read_json(cache, r"package/(en/shortcodes/[a-z-]+|meta/unicode-names)\.json"):
        for hexcode, spellings in table.items():
            concept = concept_of(hexcode)
            if concept in emoji and not has_skin_tone(hexcode):
                target = names if file.startswith("meta/") else codes
                target += [(code, concept) for code in ([spellings] if isinstance(spellings, str) else spellings)]
    return unambiguous(names) | unambiguous(codes) | unambiguous(labels)


def unambiguous(spellings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Concept by `name_key` of its spellings; a spelling of two concepts is left out."""
    found: dict[str, set[str]] = {}
    for spelling, concept in spellings:
        found.setdefault(name_key(spelling), set()).add(concept)
    return {key: next(iter(concepts)) for key, concepts in found.items() if len(concepts) == 1}


def _read_json(cache: Path, pattern: str) -> Iterator[tuple[str, Any]]:
    def is_wanted(name: str) -> bool:
        return re.fullmatch(pattern, name) is not None

    for name, content in read_members(fetch(EMOJIBASE, cache), is_wanted):
        yield name.removeprefix("package/"), json.loads(content)
