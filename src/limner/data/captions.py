"""Which text goes with a picture in a training step: a caption or its tags, in a language drawn by weight."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from limner.config import Count, NotNegative, Share
from limner.data.picture_set import PictureSet
from limner.data.tints import TINTS, Tinted, names_a_colour
from limner.errors import DataError

__all__ = ["CaptionChoice", "Captions", "DrawnText"]


@dataclass(frozen=True, kw_only=True)
class CaptionChoice:
    """Weights of languages ("*" stands for all others), how often tags are read instead of a caption, and templates.

    `tag_rate` is the share of texts made of tags (a few of them, joined by commas), `template_rate` the share put into
    one of `templates`.
    """

    languages: dict[str, NotNegative] = field(default_factory=lambda: {"*": 1.0})
    tag_rate: Share = 0.0
    most_tags: Count = 3
    template_rate: Share = 0.0
    templates: tuple[str, ...] = ("a picture of {}", "a drawing of {}", "{}, clip art", "an icon of {}")


class DrawnText(NamedTuple):
    """A text for one step, the same without its template, and a number that equal plain texts share in any process."""

    text: str
    plain: str
    number: int


class Captions:
    """The texts, concepts and places of the captioned rows of several sets.

    `places[i]` is (set, row) of item i; `concepts[i]` numbers its concept. Equal concepts of two sets are one.

    Raises:
        DataError: if no row has a caption.
    """

    def __init__(self, sets: Sequence[PictureSet], rows: Sequence[np.ndarray], choice: CaptionChoice) -> None:
        self.choice = choice
        self.places: list[tuple[int, int]] = []
        self.concepts: list[int] = []
        self._texts: list[dict[str, list[str]]] = []
        self._tags: list[dict[str, list[str]]] = []
        concepts: dict[str, int] = {}
        known: dict[tuple[tuple[str, str], ...], dict[str, list[str]]] = {}
        for which, (pictures, chosen) in enumerate(zip(sets, rows, strict=True)):
            table = pictures.rows(["id", "captions", "tags", "concept"])
            for row in chosen.tolist():
                texts = _by_language(table["captions"][row].as_py(), known)
                if not texts:
                    continue
                concept = table["concept"][row].as_py() or f"{which}/{table['id'][row].as_py()}"
                self.places.append((which, row))
                self.concepts.append(concepts.setdefault(concept, len(concepts)))
                self._texts.append(texts)
                self._tags.append(_by_language(table["tags"][row].as_py(), known))
        self.num_concepts = len(concepts)
        if not self.places:
            raise DataError("no picture to train on has a caption; `limner data check` names those without")

    def __len__(self) -> int:
        """Return the number of pictures with at least one caption."""
        return len(self.places)

    def all_texts(self) -> list[str]:
        """Return every caption and tag, for the tokenizer; languages as often as their weights say."""
        found: list[str] = []
        for texts, tags in zip(self._texts, self._tags, strict=True):
            for language in {**texts, **tags}:
                repeats = max(round(4 * self.weight(language)), 0)
                found += (texts.get(language, []) + tags.get(language, [])) * repeats
        return found

    def draw(self, item: int, seed: tuple[int, int]) -> DrawnText:
        """Return a text of an item; the same seed gives the same text."""
        generator = np.random.Generator(np.random.Philox(key=[seed[0] + (1 << 32), seed[1]]))
        texts, tags = self._texts[item], self._tags[item]
        language = self._language_at(generator.random(), sorted(texts))
        if tags.get(language) and generator.random() < self.choice.tag_rate:
            count = min(int(generator.integers(1, self.choice.most_tags + 1)), len(tags[language]))
            text = ", ".join(str(tag) for tag in generator.choice(tags[language], size=count, replace=False))
        else:
            text = texts[language][int(generator.integers(len(texts[language])))]
        shown = text
        if generator.random() < self.choice.template_rate:
            shown = self.choice.templates[int(generator.integers(len(self.choice.templates)))].replace("{}", text)
        return DrawnText(text=shown, plain=text, number=_number_of(text))

    def takes_a_tint(self, item: int) -> bool:
        """Return whether an item has an English caption, and none that says a colour already."""
        english = self._texts[item].get("en", [])
        return bool(english) and not any(names_a_colour(text) for text in english)

    def draw_tinted(self, item: int, tinted: Tinted) -> DrawnText:
        """Return a caption of an item that takes a tint, with its colour, in English or another language of tints."""
        captions, texts = TINTS[tinted.tint].captions, self._texts[item]
        draws = tinted.draws[2:].tolist()
        language = self._language_at(draws[0], [language for language in captions if texts.get(language)])
        form = captions[language][int(draws[1] * len(captions[language]))]
        said = form.replace("{}", texts[language][0])
        return DrawnText(text=said, plain=said, number=_number_of(said))

    def texts(self, item: int, language: str, *, tags: bool = False) -> list[str]:
        """Return an item's captions, or its tags, in a language."""
        return (self._tags if tags else self._texts)[item].get(language, [])

    def every_text(self, item: int) -> list[str]:
        """Return an item's captions in all languages, then its tags."""
        parts = (self._texts[item], self._tags[item])
        return [text for part in parts for language in sorted(part) for text in part[language]]

    def languages(self, item: int) -> list[str]:
        """Return the languages of an item's captions."""
        return sorted(self._texts[item])

    def all_languages(self) -> set[str]:
        """Return the languages of the captions of all items."""
        return {language for texts in self._texts for language in texts}

    def weight(self, language: str) -> float:
        """Return how often a language is drawn, relative to others."""
        return self.choice.languages.get(language, self.choice.languages.get("*", 0.0))

    def _language_at(self, place: float, languages: list[str]) -> str:
        """Return the language at a place in [0, 1) of all, laid side by side as wide as their weights."""
        weights = np.array([self.weight(language) for language in languages])
        ends = np.cumsum(weights if weights.any() else np.ones_like(weights))
        return languages[int(np.searchsorted(ends / ends[-1], place, "right"))]


def _by_language(
    captions: list[dict[str, Any]] | None, known: dict[tuple[tuple[str, str], ...], dict[str, list[str]]]
) -> dict[str, list[str]]:
    """Return texts by their language; pictures with the same texts share them, which saves most of the memory."""
    texts = tuple((each["language"], each["text"].strip()) for each in captions or [] if each["text"].strip())
    if texts not in known:
        found: dict[str, list[str]] = {}
        for language, text in texts:
            found.setdefault(language, []).append(text)
        known[texts] = found
    return known[texts]


def _number_of(text: str) -> int:
    """Return 64 bits of a hash, letters alike whether large or small."""
    digest = hashlib.blake2b(text.casefold().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
