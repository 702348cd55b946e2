"""What a JSON object or table row says about a picture."""

import json
from dataclasses import dataclass, field
from typing import Any

from limner.data.picture_set import Caption
from limner.data.sources.texts import TEXT_KEYS, captions_in, clean, language_in, split_named, tags_in
from limner.errors import DataError

__all__ = ["Metadata"]


@dataclass(kw_only=True)
class Metadata:
    """The texts and names of one picture, gathered from one or several places."""

    captions: list[Caption] = field(default_factory=list)
    tags: list[Caption] = field(default_factory=list)
    concept: str = ""
    group: str = ""
    source: str = ""
    licence: str = ""
    split: str = ""

    def add_json(self, text: str, language: str) -> None:
        """Take over what JSON text says.

        Raises:
            DataError: if it is not JSON.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"its JSON is damaged ({error})") from None
        self.add(value if isinstance(value, dict) else {"captions": value}, language)

    def add(self, values: dict[str, Any], language: str) -> None:
        """Take over captions, tags and the known names; anything else is ignored."""
        own = language_in(values, language)
        if any(key in values for key in TEXT_KEYS):
            self.captions += captions_in(values, language)
        for key in ("tags", "keywords"):
            self.tags += tags_in(values.get(key), own)
        for name, keys in _NAMES.items():
            value = next((values[key] for key in keys if isinstance(values.get(key), str | int)), "")
            if value != "" and not getattr(self, name):
                setattr(self, name, clean(str(value)))
        self.split = self.split or split_named(values.get("split"))

    def for_record(self) -> dict[str, Any]:
        """Return the fields of a `Record`."""
        return {
            "captions": tuple(dict.fromkeys(self.captions)),
            "tags": tuple(dict.fromkeys(self.tags)),
            "concept": self.concept,
            "group": self.group,
            "source": self.source,
            "licence": self.licence,
            "split": self.split,
        }


_NAMES = {
    "concept": ("concept",),
    "group": ("group",),
    "source": ("source",),
    "licence": ("licence", "license"),
}
