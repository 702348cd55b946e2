"""What a clip art shows, in words, from the title, keywords, description and file name that its authors gave."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from limner.data.picture_set import Caption

__all__ = ["ClipArt", "Naming", "name_key", "name_of", "tags_of"]

_SHARED_BY = 3
_LETTERS = 3
_LANGUAGES = {"rollandin": "it", "guillou": "fr"}
_NOT_A_TAG = re.compile(r"hash|0x|unsorted|.*rollandin|\d+$|.*@|http|signs and symbols")
_NOT_A_DESCRIPTION = re.compile(r"@|http|www|public domain|HASH", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ClipArt:
    """A drawing and what its RDF says; `place` is its path without the ending, `licence` a link."""

    place: str
    svg: bytes
    title: str
    creator: str
    description: str
    keywords: tuple[str, ...]
    licence: str

    @property
    def is_flag(self) -> bool:
        """Whether this is filed, or marked, as a flag."""
        folders = self.place.split("/")[:-1]
        marked = bool({"flag", "flags"}.intersection(tags_of(self)))
        return "flags" in folders or (marked and folders[:1] == ["signs_and_symbols"])

    @property
    def language(self) -> str:
        """Language of the texts, by author: most wrote English."""
        creator = self.creator.lower()
        return next((language for name, language in _LANGUAGES.items() if name in creator), "en")


class Naming:
    """Captions of clip art; knows the whole collection, because a title that many files share says little."""

    def __init__(self, collection: Sequence[ClipArt]) -> None:
        self._titles = Counter(_own_title(each) for each in collection)
        self._descriptions = Counter(each.description for each in collection)

    def captions(self, clip_art: ClipArt) -> tuple[Caption, ...]:
        """The name and, where it says more, the description; nothing when there are no words at all."""
        name = name_of(clip_art, is_shared=self._titles[_own_title(clip_art)] >= _SHARED_BY)
        if not name:
            return ()
        texts = [name]
        text = clip_art.description.strip()
        is_sentence = 3 <= len(text.split()) <= 30 and not _NOT_A_DESCRIPTION.search(text)
        if is_sentence and self._descriptions[clip_art.description] <= _SHARED_BY and name_key(text) != name_key(name):
            texts.append(text)
        return tuple(Caption(text=each, language=clip_art.language) for each in texts)


def name_of(clip_art: ClipArt, *, is_shared: bool) -> str:
    """The title; where many share it, the file name; the keywords where both say nothing; "" without any."""
    from_file = _file_words(clip_art.place.rpartition("/")[2], clip_art.creator)
    name = _words(_own_title(clip_art))
    if is_shared and name and len(from_file) >= _LETTERS:
        one, other = from_file.lower(), name.lower()
        if not (one.startswith(other) or other.startswith(one)):
            name = from_file
    if _count_letters(name) < _LETTERS:
        name = from_file
    if _count_letters(name) < _LETTERS:
        name = " ".join(tags_of(clip_art)[:3])
    if len(name) < _LETTERS:
        return ""
    if clip_art.is_flag and "flag" not in name.lower():
        name = f"flag: {name}"
    name = re.sub(r"\((?:b and w|bw)\)", "black and white", name, flags=re.IGNORECASE)
    return re.sub(r"\b(bw|b and w)$", "black and white", name, flags=re.IGNORECASE)


def tags_of(clip_art: ClipArt) -> list[str]:
    """Keywords that are words, without marks of the program that wrote them."""
    words = [keyword.replace("_", " ").strip().lower() for keyword in clip_art.keywords]
    return list(dict.fromkeys(word for word in words if word and not _NOT_A_TAG.match(word)))


def name_key(name: str) -> str:
    """Words of a name in lower case, without brackets, marks and "black and white": names that agree show the same."""
    bare = re.sub(r"[^a-z0-9à-ÿ ]", " ", re.sub(r"\(.*?\)", "", name.lower()))
    return re.sub(r" black and white$", "", " ".join(bare.split()))


def _own_title(clip_art: ClipArt) -> str:
    return re.sub(r"^clipart by .*? - ", "", clip_art.title, flags=re.IGNORECASE)


def _words(text: str) -> str:
    """Words of a title or file name, without the numbers that tell versions apart."""
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)
    words = [re.sub(r"(?<=[A-Za-z])#?\d+[a-z]?$", "", word) for word in re.sub(r"[_\-/,;:]+", " ", text).split()]
    kept = [word for word in words if not re.fullmatch(r"[0-9.]+[a-z]?", word) and word.lower() != "aiga"]
    return " ".join(kept).strip(" .!?")


def _file_words(stem: str, creator: str) -> str:
    """Words of a file name, without the author's name, which may be cut short at its end."""
    names = {name for name in re.split(r"[^a-z]+", creator.lower()) if len(name) > 1}
    words = [word for word in _words(stem).split() if word.lower() not in names]
    while len(words) > 1 and len(words[-1]) > 1 and any(name.startswith(words[-1].lower()) for name in names):
        words.pop()
    return " ".join(words)


def _count_letters(text: str) -> int:
    return len(re.sub(r"[^A-Za-zÀ-ÿ]", "", text))
