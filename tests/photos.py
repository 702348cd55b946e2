"""Painted picture files, and an embedder that counts what it is asked to look at."""

from pathlib import Path

from PIL import Image

from limner.search.collection import Collection
from tests.colours import ColourEmbedder
from tests.shapes import draw


class CountingEmbedder(ColourEmbedder):
    """The colour embedder, with the number of pictures that went through it."""

    image_size = 48

    def __init__(self, fingerprint: str = "colours") -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.seen = 0

    def embed_pictures(self, pictures):
        self.seen += len(pictures)
        return super().embed_pictures(pictures)


def paint(path: Path, colour: str, size: int = 15) -> Path:
    """A square of a colour; another `size` gives another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(colour, "square", size))
    return path


def paint_some(folder: Path, number: int) -> list[Path]:
    """Pictures that all differ, in turns red, green and blue."""
    paths = []
    for each in range(number):
        colour = [20, 20, 20]
        colour[each % 3] = 250 - each % 100
        path = folder / f"{each:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + each % 7, 20 + each // 7), tuple(colour)).save(path)
        paths.append(path)
    return paths


def collect(folder: Path, to: Path) -> tuple[Collection, CountingEmbedder]:
    """A collection of a folder of pictures."""
    embedder = CountingEmbedder()
    collection = Collection.create(to, embedder)
    collection.sync(folder)
    return collection, embedder
