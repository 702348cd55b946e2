"""Whether a file holds the pixels that its header claims; Pillow fills up what is missing without a word."""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from limner.errors import PictureError

__all__ = ["ensure_complete", "ensure_plausible"]

_REASON = "claims more pixels than it holds; restore it from a copy"
_PIECE = 1 << 20
# Adam7: first row, first column, and the steps between rows and columns of each pass.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def ensure_plausible(data: bytes, image: Image.Image) -> None:
    """Compare the size in the header of a PNG or JPEG with the length of the file, before anything is decoded.

    Deflate never packs more than 1032 bytes into one; no Huffman code is shorter than one bit for each block of 8 x 8.

    Raises:
        PictureError: if the file cannot hold what it claims.
    """
    is_empty_promise = (
        len(data) * 1032 < _claimed_bytes(data)
        if image.format == "PNG"
        else image.format in ("JPEG", "MPO") and len(data) * 8 < image.width * image.height // 64
    )
    if is_empty_promise:
        raise PictureError(_REASON)


def ensure_complete(data: bytes, image: Image.Image) -> None:
    """Compare the bytes that a decoded PNG holds with those that its header claims.

    Raises:
        PictureError: if there are fewer.
    """
    if image.format == "PNG" and _may_be_short(data, image) and _stored_bytes(data) < _claimed_bytes(data):
        raise PictureError(_REASON)


def _may_be_short(data: bytes, image: Image.Image) -> bool:
    """Return False where the last row was surely written: rows that were not are zero."""
    is_interlaced = data[28] == 1
    return is_interlaced or not any(image.crop((0, image.height - 1, image.width, image.height)).tobytes())


def _claimed_bytes(data: bytes) -> int:
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _PASSES if data[28] == 1 else ((0, 0, 1, 1),)
    total = 0
    for top, left, down, right in passes:
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        if rows > 0 and columns > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _stored_bytes(data: bytes) -> int:
    decompressor = zlib.decompressobj()
    total = 0
    for piece in _image_data(data):
        waiting = piece
        while waiting:
            total += len(decompressor.decompress(waiting, _PIECE))
            waiting = decompressor.unconsumed_tail
    return total


def _image_data(data: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        if name == b"IDAT":
            yield data[place + 8 : place + 8 + length]
        place += 12 + length
