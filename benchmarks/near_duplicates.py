"""Do near-duplicate pictures of the built-in sets stay on one side of the splits?

    python benchmarks/near_duplicates.py [--record]

Builds `pictograms` and `openclipart` whole, if they are missing, and compares every two pictures at 16 x 16 pixels.
With --record the pairs of groups found beyond the recorded ones are added to `near_duplicates.json`, by which the
builds join groups; build both sets again afterwards.
"""

import argparse
import json
from importlib import resources
from itertools import chain
from pathlib import Path

import numpy as np

from limner.data.builtin import build
from limner.data.builtin.icon_families import STYLE_TEST_FAMILIES
from limner.data.builtin.near_duplicates import find_pairs, recorded_pairs
from limner.data.builtin.rasterise import thumbnail
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from record import markdown_table, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="add the pairs that are found to those recorded")
    options = parser.parse_args()
    sets = [PictureSet.open(build(name).path) for name in ("pictograms", "openclipart")]
    records = list(chain.from_iterable(pictures.records() for pictures in sets))
    thumbnails = np.stack([thumbnail(decode_picture(record.picture)) for record in records])
    pairs = [(records[one], records[other]) for one, other in find_pairs(thumbnails)]
    plain = [pair for pair in pairs if not {each.source for each in pair}.intersection(STYLE_TEST_FAMILIES)]
    crossing = {tuple(sorted((one.group, other.group))) for one, other in pairs if one.group != other.group}
    if options.record:
        _record(crossing)
    rows = [
        ["pictures", f"{len(records):,}"],
        ["recorded pairs of groups", f"{len(recorded_pairs()):,}"],
        ["pairs of pictures within RMS 0.03", f"{len(pairs):,}"],
        ["of these without a style-test picture", f"{len(plain):,}"],
        ["of these across splits", f"{sum(one.split != other.split for one, other in plain):,}"],
        ["pairs of groups not recorded", f"{len(crossing):,}"],
    ]
    body = markdown_table(["", "number"], rows)
    print(write_result("near_duplicates", __doc__.splitlines()[0], body, packages=("limner", "resvg_py")).read_text())


def _record(crossing: set[tuple[str, str]]) -> None:
    lines = [f"  {json.dumps(pair, ensure_ascii=False)}" for pair in sorted({*recorded_pairs(), *crossing})]
    place = Path(str(resources.files("limner.data.builtin").joinpath("near_duplicates.json")))
    place.write_text('{"pairs": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
