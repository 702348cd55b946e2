"""Does a search for "red anchor" find the anchor, and the one that is red?

    limner data get icons icons && limner data get pictograms pictograms
    python benchmarks/colours.py --data icons --data pictograms [--model MODEL]

Held-out pictures of things whose captions say no colour, one a thing, each drawn in every colour of `data/tints.py` by
the tints that `loader.tint_rate` trains with; all of them are searched. A query is the thing's caption with a colour
before it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from limner.data.pixels import pictures_of, stack_images
from limner.data.splitting import hash_share
from limner.data.tints import TINTS, Tinted, names_a_colour, tinted
from limner.evaluation.examples import normal_form
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.search.embedder import Embedder, load_embedder
from record import markdown_table, percent, write_result

_SIZE = 128
_AS_DRAWN = np.array([0.5, 0.9, 0.0, 0.0], dtype=np.float32)


class Thing(NamedTuple):
    """A caption without a colour, and its picture."""

    words: str
    picture: Image.Image


def things(data: Path, split: str, count: int) -> list[Thing]:
    """Return the first things of a split by a hash of their pictures, no two of one caption."""
    pictures = PictureSet.open(data)
    table = pictures.rows(["id", "captions"], splits=[split]).to_pylist()
    chosen: dict[str, tuple[str, int]] = {}
    for entry in sorted(table, key=lambda entry: hash_share(entry["id"])):
        words = next((each["text"] for each in entry["captions"] or [] if each["language"] == "en"), "")
        if words and not names_a_colour(words):
            chosen.setdefault(normal_form(words), (words, entry["_row"]))
    first = list(chosen.values())[:count]
    found = pictures.pictures([row for _, row in first])
    return [Thing(words, decode_picture(picture)) for (words, _), picture in zip(first, found, strict=True)]


def in_every_colour(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Return each picture in every tint, in the order of the tints."""
    found: list[Image.Image] = []
    for picture in pictures:
        images = stack_images([picture] * len(TINTS), _SIZE)
        found += pictures_of(tinted(images, [Tinted(number, _AS_DRAWN) for number in range(len(TINTS))]))
    return found


def judge(embedder: Embedder, chosen: Sequence[Thing]) -> dict[str, Estimate]:
    """Return how often the first of all pictures is right, has the colour, or shows the thing."""
    vectors = embedder.embed_pictures(in_every_colour([thing.picture for thing in chosen]))
    asked = embedder.embed_texts([f"{tint.name} {thing.words}" for thing in chosen for tint in TINTS])
    scores = asked @ vectors.T
    best, own, count = scores.argmax(axis=1), np.arange(len(asked)), len(TINTS)
    among_own = scores.reshape(len(chosen), count, len(chosen), count)[range(len(chosen)), :, range(len(chosen))]
    right = {
        "the picture": best == own,
        "its colour": best % count == own % count,
        "its thing": best // count == own // count,
        "its colour among its thing's": among_own.argmax(axis=2).ravel() == own % count,
    }
    return {name: estimate_mean(found.astype(np.float64), own // count) for name, found in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--model", action="append", help="default: pictograms")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=100, help="things of each set")
    options = parser.parse_args()
    rows = []
    for data in options.data:
        chosen = things(data, options.split, options.count)
        for model in options.model or ["pictograms"]:
            found = judge(load_embedder(model), chosen)
            rows.append([data.name, Path(model).name, len(chosen), *(percent(each) for each in found.values())])
            print(*rows[-1], flush=True)
    head = ["set", "model", "things", *found]
    body = (
        f"{markdown_table(head, rows)}\n\nPercent of queries with 95 % intervals over things; {len(TINTS)} colours, so "
        f"{100 / len(TINTS):.0f} by chance for the last column. Split `{options.split}`."
    )
    print(write_result("colours", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
