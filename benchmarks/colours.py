"""Does a search for "red anchor" find the anchor, and the one that is red?

    limner data get icons icons && limner data get pictograms pictograms
    python benchmarks/colours.py --data icons --data pictograms [--model MODEL]

Held-out pictures of things whose captions say no colour, one a thing, each drawn in every colour of `data/tints.py` by
the tints that `loader.tint_rate` trains with; all of them are searched. A query is the thing's caption with a colour
before it. Tints are not how people colour things, so pictures as they were drawn are asked too: of those that are for
the most part of one of these colours, whether the caption with this colour is nearer than with any other.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

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
_WHOLE = np.array([0.5, 0.5, 0.0, 0.0], dtype=np.float32)
_LAB = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
_WHITE, _COLOURED, _NEAR, _MOST = 0.93, 20, 40, 0.6
"""What is lighter is ground; from which chroma a point has a colour; how far in CIELAB it may be from a tint; and which
share of the points makes a picture plain."""


class Thing(NamedTuple):
    """A caption without a colour, and its picture."""

    words: str
    picture: Image.Image


def every_thing(data: Path, split: str) -> list[Thing]:
    """Return the pictures of a split whose captions say no colour, in the order of a hash."""
    pictures = PictureSet.open(data)
    table = pictures.rows(["id", "captions"], splits=[split]).to_pylist()
    named: list[tuple[str, int]] = []
    for entry in sorted(table, key=lambda entry: hash_share(entry["id"])):
        words = next((each["text"] for each in entry["captions"] or [] if each["language"] == "en"), "")
        if words and not names_a_colour(words):
            named.append((words, entry["_row"]))
    found = pictures.pictures([row for _, row in named])
    return [Thing(words, decode_picture(picture)) for (words, _), picture in zip(named, found, strict=True)]


def one_of_a_caption(found: Sequence[Thing]) -> list[Thing]:
    """Return the first thing of every caption."""
    chosen: dict[str, Thing] = {}
    for thing in found:
        chosen.setdefault(normal_form(thing.words), thing)
    return list(chosen.values())


def lab(points: np.ndarray) -> np.ndarray:
    """Return CIELAB of red, green and blue in [0, 1]."""
    image = Image.fromarray(np.uint8(np.round(255 * points))[None], "RGB")
    found = np.asarray(ImageCms.applyTransform(image, _LAB))[0]
    return np.concatenate([found[:, :1] / 2.55, found[:, 1:].view(np.int8)], axis=1).astype(np.float64)


_TINTS_IN_LAB = lab(np.array([(tint.darker, tint.lighter) for tint in TINTS if tint.name != "black"]).mean(axis=1))


def plain_colour(picture: Image.Image) -> int | None:
    """Return the number of the tint, black left out, that most of what is not white comes near to, if there is one."""
    points = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BOX)).reshape(-1, 3) / 255
    drawn = lab(points[points.min(axis=1) < _WHITE])
    coloured = drawn[np.hypot(drawn[:, 1], drawn[:, 2]) > _COLOURED]
    distances = np.linalg.norm(coloured[:, None] - _TINTS_IN_LAB, axis=2)
    near = distances.argmin(axis=1)[distances.min(axis=1) < _NEAR] if len(coloured) else np.zeros(0, dtype=int)
    counts = np.bincount(near, minlength=len(_TINTS_IN_LAB))
    return int(counts.argmax()) if counts.max() > _MOST * max(len(drawn), 1) else None


def in_every_colour(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Return each picture in every tint, in the order of the tints."""
    found: list[Image.Image] = []
    for picture in pictures:
        images = stack_images([picture] * len(TINTS), _SIZE)
        found += pictures_of(tinted(images, [Tinted(number, _WHOLE) for number in range(len(TINTS))]))
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


def judge_as_drawn(embedder: Embedder, chosen: Sequence[tuple[Thing, int]]) -> Estimate:
    """Return how often a picture is nearer to its caption with its colour than with any other."""
    vectors = embedder.embed_pictures([thing.picture for thing, _ in chosen])
    right = []
    for vector, (thing, colour) in zip(vectors, chosen, strict=True):
        asked = embedder.embed_texts([f"{tint.name} {thing.words}" for tint in TINTS])
        right.append(float((asked @ vector).argmax() == colour))
    words = [normal_form(thing.words) for thing, _ in chosen]
    return estimate_mean(np.array(right), np.unique(words, return_inverse=True)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--model", action="append", help="default: pictograms")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=100, help="things of each set")
    options = parser.parse_args()
    rows, plain_rows = [], []
    for data in options.data:
        every = every_thing(data, options.split)
        chosen = one_of_a_caption(every)[: options.count]
        plain = [(thing, colour) for thing in every if (colour := plain_colour(thing.picture)) is not None]
        for model in options.model or ["pictograms"]:
            embedder, name = load_embedder(model), Path(model).name
            found = judge(embedder, chosen)
            rows.append([data.name, name, len(chosen), *(percent(each) for each in found.values())])
            plain_rows.append([data.name, name, len(plain), percent(judge_as_drawn(embedder, plain))])
            print(*rows[-1], *plain_rows[-1][2:], flush=True)
    body = (
        f"{markdown_table(['set', 'model', 'things', *found], rows)}\n\n"
        f"{markdown_table(['set', 'model', 'pictures as drawn', 'their colour'], plain_rows)}\n\n"
        f"Percent with 95 % intervals over things; {len(TINTS)} colours, so {100 / len(TINTS):.0f} by chance for its "
        f"colour. Split `{options.split}`."
    )
    print(write_result("colours", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
