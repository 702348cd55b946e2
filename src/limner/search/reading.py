"""A picture that was found becomes a small image and what is said of it, or the reason why it cannot."""

import hashlib
import io
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import ExifTags, Image

from limner.data.decoding import LARGEST_FILE, decode_picture, read_bytes, read_picture, square
from limner.data.picture_set import PictureSet, Record
from limner.errors import PictureError
from limner.search.annotations import Annotation, MetadataTable, from_record, from_side_files
from limner.search.scanning import Found, split_set_path

__all__ = ["Reading", "annotate", "open_indexed", "read_found"]

_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The outcome of reading a picture: `reason` is set when it cannot be indexed.

    `content` is the SHA-256 of the encoded bytes; `images` are squares by their side, none where the content is known
    already; `width` and `height` in pixels as people see the picture.
    """

    found: Found
    content: str = ""
    images: Mapping[int, Image.Image] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    format: str = ""
    reason: str = ""


def read_found(found: Found, known: Container[str], image_sizes: Collection[int]) -> Reading:
    """Read a picture and shrink it to the squares that models take; content in `known` is not decoded."""
    if found.fault:
        return Reading(found=found, reason=found.fault)
    try:
        data = _set_record(found).picture if found.row >= 0 else read_bytes(Path(found.path))
        if len(data) > LARGEST_FILE:
            raise PictureError(f"is larger than {LARGEST_FILE >> 20} MiB; save it smaller")
        content = hashlib.sha256(data).hexdigest()
        if content in known:
            return Reading(found=found, content=content)
        image = decode_picture(data, at_least=max(image_sizes))
    except PictureError as error:
        return Reading(found=found, reason=str(error))
    width, height, kind = _header(data, image)
    images = {size: square(image, size) for size in image_sizes}
    return Reading(found=found, content=content, images=images, width=width, height=height, format=kind)


def annotate(found: Found, metadata: MetadataTable | None) -> Annotation:
    """Return what is said of a picture by its set or its side files, and by the table of metadata."""
    if found.row >= 0:
        said = from_record(_set_record(found))
    else:
        said = from_side_files(Path(found.path), found.side_files)
    return said if metadata is None else said.merged(metadata.annotation(found.path))


def open_indexed(path: str) -> Image.Image:
    """Return a picture of a collection from where it was found.

    Raises:
        PictureError: naming the picture, if it is gone or cannot be read any more.
    """
    in_set = split_set_path(path)
    if in_set is None:
        return read_picture(Path(path))
    folder, id = in_set
    pictures = PictureSet.open(folder)
    ids = pictures.rows(["id"])["id"].to_pylist()
    if id not in ids:
        raise PictureError(f"{path} is gone; run `limner index` again")
    return decode_picture(pictures.pictures([ids.index(id)])[0])


def _set_record(found: Found) -> Record:
    folder, modified = found.path[: -len(found.set_id) - 1], found.modified
    return next(iter(_open_set(folder, modified).records([found.row])))


@lru_cache(maxsize=8)
def _open_set(folder: str, modified: int) -> PictureSet:
    return PictureSet.open(folder)


def _header(data: bytes, image: Image.Image) -> tuple[int, int, str]:
    try:
        with Image.open(io.BytesIO(data)) as header:
            width, height = header.size
            kind = str(header.format).lower()
            if header.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS:
                return height, width, kind
            return width, height, kind
    except (OSError, ValueError, SyntaxError, Warning):
        return image.width, image.height, "svg"
