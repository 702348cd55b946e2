"""The families of pictograms: one drawing style each, one npm package each."""

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin.emoji_names import concept_of, has_skin_tone, unambiguous
from limner.data.builtin.packages import Package, fetch, read_members

__all__ = [
    "FAMILIES",
    "STYLE_TEST_FAMILIES",
    "TRAINING_FAMILIES",
    "Family",
    "Icon",
    "read_icons",
    "read_tables",
    "spelled_names",
]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A drawing style; `style_test` families are for evaluation only and never trained on."""

    package: Package
    licence: str
    style_test: bool = False
    says_code_points: bool = False


@dataclass(frozen=True, kw_only=True)
class Icon:
    """One drawing: its name in the family, its concept where the family says code points ("" otherwise), its SVG."""

    name: str
    concept: str
    svg: str
    has_skin_tone: bool


def _family(
    name: str, version: str, sha256: str, licence: str, *, style_test: bool = False, says_code_points: bool = False
) -> Family:
    package = Package(client="npm", name=f"@iconify-json/{name}", version=version, sha256=sha256)
    return Family(package=package, licence=licence, style_test=style_test, says_code_points=says_code_points)


FAMILIES: dict[str, Family] = {
    "noto": _family(
        "noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
        says_code_points=True,
    ),
    "noto-v1": _family(
        "noto-v1",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        "Apache-2.0",
    ),
    "twemoji": _family(
        "twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC-BY-4.0",
        says_code_points=True,
    ),
    "fluent-emoji-flat": _family(
        "fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
        says_code_points=True,
    ),
    "fluent-emoji": _family(
        "fluent-emoji",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
        "MIT",
    ),
    "fluent-emoji-high-contrast": _family(
        "fluent-emoji-high-contrast",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
        "MIT",
        says_code_points=True,
    ),
    "emojione": _family(
        "emojione",
        "1.2.3",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        "CC-BY-4.0",
    ),
    "emojione-monotone": _family(
        "emojione-monotone",
        "1.2.1",
        "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e",
        "CC-BY-4.0",
    ),
    "fxemoji": _family(
        "fxemoji",
        "1.2.2",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
    ),
    "openmoji": _family(
        "openmoji",
        "1.2.29",
        "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
        "CC-BY-SA-4.0",
        style_test=True,
        says_code_points=True,
    ),
    "emojione-v1": _family(
        "emojione-v1",
        "1.2.3",
        "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3",
        "CC-BY-SA-4.0",
        style_test=True,
    ),
}
"""Every family, by name."""

STYLE_TEST_FAMILIES = tuple(name for name, family in FAMILIES.items() if family.style_test)
TRAINING_FAMILIES = tuple(name for name, family in FAMILIES.items() if not family.style_test)

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">{body}</svg>'
_SKIN_TONE = re.compile(r"(.+?)-(?:medium-)?(?:dark|light|medium)")


def read_icons(family: Family, cache: Path) -> Iterator[Icon]:
    """The drawings of a family, by name, without its aliases and what it has withdrawn."""
    files = read_tables(family, cache)
    table = files["icons.json"]
    icons: dict[str, dict[str, Any]] = table["icons"]
    hexcodes = {name: hexcode for hexcode, name in files.get("chars.json", {}).items()}
    for name, icon in sorted(icons.items()):
        if icon.get("hidden"):
            continue
        numbers = {"left": 0, "top": 0, "width": table.get("width", 16), "height": table.get("height", 16)}
        box = " ".join(str(icon.get(key, number)) for key, number in numbers.items())
        hexcode = hexcodes.get(name, "")
        yield Icon(
            name=name,
            concept=concept_of(hexcode),
            svg=_SVG.format(box=box, body=icon["body"]),
            has_skin_tone=has_skin_tone(hexcode) or _is_toned(name, icons),
        )


def _is_toned(name: str, icons: Container[str]) -> bool:
    """Whether a name ends in a skin tone; a "police-car-light" does not, as no "police-car-medium" stands beside it."""
    toned = _SKIN_TONE.fullmatch(name)
    return "skin-tone" in name or (toned is not None and toned[1] in icons and f"{toned[1]}-medium" in icons)


def spelled_names(cache: Path) -> dict[str, str]:
    """Concept of each drawing's name and alias, by `name_key`, as the families that say code points spell them."""
    spellings: list[tuple[str, str]] = []
    for family in FAMILIES.values():
        if not family.says_code_points:
            continue
        files = read_tables(family, cache)
        concepts = {name: concept_of(code) for code, name in files["chars.json"].items() if not has_skin_tone(code)}
        aliases = files["icons.json"].get("aliases", {})
        same = {alias: concepts.get(target["parent"], "") for alias, target in aliases.items() if len(target) == 1}
        spellings += [(name, concept) for name, concept in (same | concepts).items() if concept]
    return unambiguous(spellings)


def read_tables(family: Family, cache: Path) -> dict[str, Any]:
    """The family's `icons.json` and, where it has them, `chars.json` and `metadata.json`."""
    wanted = {"package/chars.json", "package/icons.json", "package/metadata.json"}
    members = read_members(fetch(family.package, cache), wanted.__contains__)
    return {name.removeprefix("package/"): json.loads(content) for name, content in members}
