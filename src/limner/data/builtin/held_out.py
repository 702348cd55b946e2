"""Names of what validation and test hold, and how to find them in other names, so that training never sees them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources

from limner.data.builtin.emoji_names import name_key
from limner.data.builtin.splitting import split_of

__all__ = ["HeldOutNames", "recorded_look_alikes", "recorded_titles", "singular"]

_IRREGULAR = {
    "axes": "axe", "bikinis": "bikini", "buses": "bus", "cacti": "cactus", "calves": "calf", "canoes": "canoe",
    "children": "child", "cookies": "cookie", "feet": "foot", "geese": "goose", "genies": "genie", "halves": "half",
    "headaches": "headache", "hippopotami": "hippopotamus", "hoodies": "hoodie", "horseshoes": "horseshoe",
    "kiwis": "kiwi", "knives": "knife", "leaves": "leaf", "lenses": "lens", "loaves": "loaf", "men": "man",
    "mice": "mouse", "moustaches": "moustache", "movies": "movie", "neckties": "necktie", "octopi": "octopus",
    "people": "person", "pickaxes": "pickaxe", "saris": "sari", "scarves": "scarf", "selfies": "selfie",
    "shelves": "shelf", "shoes": "shoe", "skis": "ski", "smoothies": "smoothie", "taxis": "taxi", "teeth": "tooth",
    "toes": "toe", "wolves": "wolf", "women": "woman", "zombies": "zombie",
}  # fmt: skip
_ALWAYS_PLURAL = frozenset({"eyeglasses", "glasses", "sunglasses"})
_STRENGTH = {"train": 0, "validation": 1, "test": 2}


def singular(word: str) -> str:
    """The singular of an English noun, near enough that one and many meet."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word in _ALWAYS_PLURAL or re.search(r"(ss|us|is)$", word):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz|o)es$|..[^o]uses$", word):
        return word[:-2]
    return word.removesuffix("s")


class HeldOutNames:
    """Finds the names of what is held out among the words of a name, one and many alike.

    `labels` holds (name, group) of every pictogram, `spellings` the group of each further name by `name_key`, and
    `titles` that of clip art by title: a pictogram's name counts wherever it stands, a title only as the whole name.
    """

    def __init__(
        self, labels: Iterable[tuple[str, str]], spellings: Mapping[str, str], titles: Mapping[str, str]
    ) -> None:
        names = [(_joined(words), group) for label, group in labels for words in _forms(label)]
        self._names = _held_out([*spellings.items(), *names])
        self._titles = _held_out((_joined(title.split()), group) for title, group in titles.items())

    def find(self, *names: Sequence[str]) -> str:
        """The held-out group that one of the names names: of test first, then by the longest run of words; or ""."""
        found: list[tuple[int, int, str]] = []
        for words in names:
            named = [(length, self._names[run]) for length, run in _runs(words) if run in self._names]
            if title := self._titles.get(_joined(words)):
                named.append((len(words), title))
            found += [(_STRENGTH[split_of(group)], length, group) for length, group in named]
        return max(found)[2] if found else ""


def recorded_titles() -> list[str]:
    """Titles of clip art, by `clip_art_names.name_key`, that are in validation or test, as recorded."""
    return _recorded("titles")


def recorded_look_alikes() -> frozenset[str]:
    """Ids of icons that nearly coincide with a picture that another set holds out, as recorded."""
    return frozenset(_recorded("look_alikes"))


def _recorded(what: str) -> list[str]:
    text = resources.files(__package__).joinpath("held_out.json").read_text(encoding="utf-8")
    found: list[str] = json.loads(text)[what]
    return found


def _held_out(groups: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The group of each name that is held out; of two groups of one name, that of test."""
    held: dict[str, str] = {}
    for name, group in groups:
        strength = _STRENGTH[split_of(group)]
        if name and strength and strength >= _STRENGTH[split_of(held.get(name, group))]:
            held[name] = group
    return held


def _runs(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Every contiguous run of words in the singular, written together, and its length."""
    parts = [part for word in words for part in word.split("-")]
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            yield end - start, _joined(parts[start:end])


def _forms(label: str) -> list[list[str]]:
    """Words of a label, without its brackets, and without its "face"."""
    bare = re.sub(r"\(.*?\)", "", label).lower().replace("&", " and ")
    words = re.sub(r"[^a-z0-9]", " ", bare).split()
    return [words, words[:-1]] if words[-1:] == ["face"] else [words]


def _joined(words: Iterable[str]) -> str:
    """Words in the singular, written together, because some write "hotdog" and some "hot dog"."""
    return name_key("".join(singular(part) for word in words for part in word.split("-")))
