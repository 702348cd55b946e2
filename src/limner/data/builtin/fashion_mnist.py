"""The set `fashion-mnist`: 70,000 small grey pictures of ten kinds of clothes (Xiao, Rasul, Vollgraf 2017)."""

import gzip
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from limner.data.builtin.packages import Package, fetch, read_members
from limner.data.picture_set import Caption, Record
from limner.data.splitting import hash_share
from limner.errors import DataError

__all__ = ["CLASSES", "FASHION_MNIST", "NUM_PICTURES", "SIDE", "SOURCE", "TEMPLATES", "fashion_mnist_records"]

FASHION_MNIST = Package(
    client="apt",
    name="dataset-fashion-mnist",
    version="0.0~git20200523.55506a9-1",
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
SOURCE = "fashion-mnist"
SIDE = 28
NUM_PICTURES = 70_000
CLASSES = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
TEMPLATES = ("a picture of {}", "a photo of {}", "a grey photo of {}", "{}")

_FOLDER = "usr/share/datasets/fashion-mnist/"
_NUM_VALIDATION = 5_000
_PREFIXES = {"train": "train", "test": "t10k"}
_LARGEST_FILE = 64 << 20


def fashion_mnist_records(cache: Path) -> Iterator[Record]:
    """Records in the order of the package: its test split, and its training split less 5,000 for validation."""
    archive = fetch(FASHION_MNIST, cache)
    files = dict(read_members(archive, lambda name: name.startswith(_FOLDER) and name.endswith(".gz")))
    for split, prefix in _PREFIXES.items():
        pictures = _read_idx(files[f"{_FOLDER}{prefix}-images-idx3-ubyte.gz"])
        labels = _read_idx(files[f"{_FOLDER}{prefix}-labels-idx1-ubyte.gz"])
        names = [f"{SOURCE}/{split}/{number:05d}" for number in range(len(labels))]
        held_out = set(sorted(names, key=hash_share)[:_NUM_VALIDATION]) if split == "train" else set()
        for name, picture, label in zip(names, pictures, labels.tolist(), strict=True):
            yield _record(name, picture, CLASSES[label], "validation" if name in held_out else split)


def _record(name: str, picture: UInt8[np.ndarray, "28 28"], label: str, split: str) -> Record:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return Record(
        id=name,
        picture=file.getvalue(),
        captions=tuple(Caption(text=text, language="en") for text in _captions(label)),
        concept=label,
        group=name,
        source=SOURCE,
        licence="MIT",
        split=split,
        width=SIDE,
        height=SIDE,
    )


def _captions(label: str) -> list[str]:
    if label == "trousers":
        named = label
    else:
        named = f"{'an' if label[0] in 'aeiou' else 'a'} {label}"
    return [template.format(named if template != "{}" else label) for template in TEMPLATES]


def _read_idx(packed: bytes) -> UInt8[np.ndarray, "..."]:
    """The array of an IDX file: magic number, big-endian sizes, bytes."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        content = file.read(_LARGEST_FILE)
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions)
    if content[:3] != b"\0\0\x08" or values.size != np.prod(shape):
        raise DataError("the package of Fashion-MNIST holds damaged arrays; delete it from the cache and try again")
    return values.reshape(shape)
