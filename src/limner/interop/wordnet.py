"""Nouns of WordNet (https://wordnet.princeton.edu), as timm's package has them: names of things, and what they are."""

from pathlib import Path

from limner.interop.packages import package_folder

__all__ = ["noun_phrases"]

_LONGEST_GLOSS = 10


def noun_phrases() -> list[str]:
    """Return names of things in lower case, and explanations of at most ten words; needs the extra `teachers`."""
    folder = package_folder("timm") / "data" / "_info"
    names = [
        name.strip() for names in _second_columns(folder / "imagenet_synset_to_lemma.txt") for name in names.split(",")
    ]
    glosses = _second_columns(folder / "imagenet_synset_to_definition.txt")
    short = [gloss for gloss in glosses if len(gloss.split()) <= _LONGEST_GLOSS]
    # Capitals are names of people and places, and the Latin of species, which nobody asks for.
    return sorted({phrase for phrase in (*names, *short) if phrase.isascii() and phrase == phrase.lower()})


def _second_columns(path: Path) -> list[str]:
    return [line.split("\t")[1] for line in path.read_text(encoding="utf-8").splitlines()]
