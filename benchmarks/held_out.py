"""Do the icons of training show or name anything that the other built-in sets hold out?

    python benchmarks/held_out.py [--record] [--sets FOLDER]

Builds `pictograms`, `openclipart` and `icons` whole, if they are missing. Looks for the names of held-out pictograms in
the captions and tags of the icons that are trained on, word by word as they are written, compares them with the titles
of held-out clip art, and every icon with every held-out picture at 16 x 16 pixels. With --record the titles and the
icons that nearly coincide are added to `held_out.json`, by which `icons` is built; build it again afterwards.
"""

import argparse
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np

from limner.data.builtin import build
from limner.data.builtin.clip_art_names import name_key
from limner.data.builtin.held_out import recorded_look_alikes, recorded_titles
from limner.data.builtin.near_duplicates import find_pairs
from limner.data.builtin.rasterise import thumbnail
from limner.data.builtin.splitting import CLIP_ART
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet, Record
from record import markdown_table, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="add what is found to what is recorded")
    parser.add_argument("--sets", type=Path, help="folder where the sets are (default: the cache)")
    options = parser.parse_args()
    pictograms, clip_art, icons = (
        PictureSet.open(build(name, options.sets and options.sets / name).path)
        for name in ("pictograms", "openclipart", "icons")
    )
    trained = records_of(icons, "train")
    pictured = records_of(pictograms, "validation", "test")
    titled = [record for record in records_of(clip_art, "validation", "test") if record.concept.startswith(CLIP_ART)]
    titles = {record.concept.removeprefix(CLIP_ART) for record in titled}
    seen = {record.concept for record in records_of(pictograms, "train")}
    labels = {english(record).lower() for record in pictured if record.concept not in seen}
    alike = look_alikes(trained, [*pictured, *records_of(clip_art, "validation", "test")])
    if options.record:
        _record(titles, alike)
    rows = [
        ["icons", f"{len(icons):,}"],
        ["of these in training", f"{len(trained):,}"],
        ["names of held-out pictograms", f"{len(labels):,}"],
        ["icons of training that bear one of them", f"{sum(bears(record, labels) for record in trained):,}"],
        ["titles of held-out clip art", f"{len(titles):,}"],
        ["icons of training of such a title", f"{sum(is_titled(record, titles) for record in trained):,}"],
        ["icons of training within RMS 0.03 of a held-out picture", f"{len(alike):,}"],
    ]
    body = markdown_table(["", "number"], rows)
    print(write_result("held_out", __doc__.splitlines()[0], body, packages=("limner", "resvg_py")).read_text())


def records_of(pictures: PictureSet, *splits: str) -> list[Record]:
    return list(pictures.records(pictures.rows(["id"], splits=splits)["_row"].to_pylist()))


def english(record: Record) -> str:
    return next(caption.text for caption in record.captions if caption.language == "en")


def bears(record: Record, labels: set[str]) -> bool:
    """Whether a label, or its plural, stands in a caption or tag as it is written."""
    for text in (*record.captions, *record.tags):
        words = re.findall(r"[a-z0-9]+", text.text.lower())
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                run = " ".join(words[start:end])
                if {run, run.removesuffix("s"), f"{run} face"} & labels:
                    return True
    return False


def is_titled(record: Record, titles: set[str]) -> bool:
    keys = {name_key(text.text) for text in (*record.captions, *record.tags)}
    return bool(titles & {form for key in keys for form in (key, key.removesuffix("s"), f"{key}s")})


def look_alikes(trained: list[Record], held_out: list[Record]) -> set[str]:
    thumbnails = np.stack([thumbnail(decode_picture(record.picture)) for record in (*trained, *held_out)])
    return {trained[one].id for one, other in find_pairs(thumbnails) if one < len(trained) <= other}


def _record(titles: set[str], alike: set[str]) -> None:
    def listed(texts: set[str]) -> str:
        return "[\n" + ",\n".join(f"  {json.dumps(text, ensure_ascii=False)}" for text in sorted(texts)) + "\n ]"

    titles, alike = titles.union(recorded_titles()), alike.union(recorded_look_alikes())
    place = Path(str(resources.files("limner.data.builtin").joinpath("held_out.json")))
    place.write_text(f'{{"titles": {listed(titles)},\n "look_alikes": {listed(alike)}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
