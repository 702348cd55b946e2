"""Drawn shapes with true captions: a picture set that a tiny model learns in seconds."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from PIL import Image, ImageDraw

from limner.data.picture_set import Caption, PictureSet, Record

COLOURS = {"red": "красный", "green": "зелёный", "blue": "синий", "black": "чёрный"}
SHAPES = {"circle": "круг", "square": "квадрат", "triangle": "треугольник"}


def draw(colour: str, shape: str, size: int) -> bytes:
    image = Image.new("RGB", (48, 48), "white")
    pen = ImageDraw.Draw(image)
    low, high = 24 - size, 24 + size
    if shape == "circle":
        pen.ellipse((low, low, high, high), fill=colour)
    elif shape == "square":
        pen.rectangle((low, low, high, high), fill=colour)
    else:
        pen.polygon([(24, low), (low, high), (high, high)], fill=colour)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def shape_records(sizes: tuple[int, ...] = (9, 12, 15, 18), split: str = "") -> Iterator[Record]:
    for colour, russian_colour in COLOURS.items():
        for shape, russian_shape in SHAPES.items():
            for size in sizes:
                yield Record(
                    id=f"{colour}-{shape}-{size}",
                    picture=draw(colour, shape, size),
                    captions=(
                        Caption(text=f"a {colour} {shape}", language="en"),
                        Caption(text=f"{russian_colour} {russian_shape}", language="ru"),
                    ),
                    tags=(Caption(text=colour, language="en"), Caption(text=shape, language="en")),
                    concept=f"{colour} {shape}",
                    group=f"{colour}-{shape}-{size}",
                    split=split,
                    width=48,
                    height=48,
                )


def write_shapes(path: Path) -> PictureSet:
    return PictureSet.write(path, shape_records())


def write_colourless_shapes(path: Path) -> PictureSet:
    """With captions that say the shape alone."""
    records = list(shape_records())
    captions = [[replace(said, text=said.text.split()[-1]) for said in record.captions] for record in records]
    return PictureSet.write(
        path, [replace(record, captions=tuple(said)) for record, said in zip(records, captions, strict=True)]
    )


def write_split_shapes(path: Path) -> PictureSet:
    """With two pictures of each concept held out, so that pictures can ask for their like."""
    return PictureSet.write(path, chain(shape_records(split="train"), shape_records((10, 14), split="validation")))
