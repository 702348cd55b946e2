"""Picture files made byte by byte, of kinds that Pillow reads but does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

__all__ = ["encoded", "gradient", "interlaced_png_of", "png_chunk", "png_of", "tiff_of"]


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    """RGB in [0, 1]: red grows to the right, green downwards, blue to the left."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x / (width - 1), y / (height - 1), 1 - x / (width - 1)], axis=-1)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(pixels: np.ndarray, *, claimed: tuple[int, int] | None = None, extra: bytes = b"") -> bytes:
    """PNG of [height, width, channels] in the samples' own depth, 8 or 16 bits; `claimed` is the size in the header."""
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), pixels.dtype.itemsize * 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def interlaced_png_of(pixels: np.ndarray, *, claimed: tuple[int, int] | None = None) -> bytes:
    """PNG of 8-bit [height, width, 3] in the seven passes of Adam7."""
    height, width, _ = pixels.shape
    starts, steps = ((0, 0), (0, 4), (4, 0), (0, 2), (2, 0), (0, 1), (1, 0)), ((8, 8), (8, 8), (8, 4), (4, 4), (4, 2))
    passes = [
        pixels[top::down, left::right]
        for (top, left), (down, right) in zip(starts, (*steps, (2, 2), (2, 1)), strict=True)
    ]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), 8, 2, 0, 0, 1)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_of(pixels: np.ndarray, *, photometric: int, sample_format: int = 1, planar: bool = False) -> bytes:
    """Uncompressed little-endian TIFF of [height, width, channels]."""
    height, width, channels = pixels.shape
    bits = pixels.dtype.itemsize * 8
    planes = [pixels[..., channel] for channel in range(channels)] if planar else [pixels]
    strips = [np.ascontiguousarray(plane).tobytes() for plane in planes]
    tags = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [8 + sum(map(len, strips[:place])) for place in range(len(strips))]),
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, list(map(len, strips))),
        (284, 3, [2 if planar else 1]),
        (339, 3, [sample_format] * channels),
    ]
    body = b"".join(strips)
    directory_at = 8 + len(body)
    spill_at = directory_at + 2 + 12 * len(tags) + 4
    entries, spill = b"", b""
    for number, kind, values in tags:
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            where = struct.pack("<I", spill_at + len(spill))
            spill += packed
        else:
            where = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", number, kind, len(values)) + where
    return (
        b"II*\0" + struct.pack("<I", directory_at) + body + struct.pack("<H", len(tags)) + entries + b"\0" * 4 + spill
    )
