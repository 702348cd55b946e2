"""Bytes to upright RGB pictures on white, or a named error: never a hang, a crash or half a picture."""

import io
import threading
import warnings
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from limner.data.claims import ensure_complete, ensure_plausible
from limner.data.deep_grey import deep_grey_to_rgb, is_deep_grey
from limner.data.svg import draw_svg, is_svg
from limner.errors import PictureError

__all__ = ["LARGEST_FILE", "PICTURE_SUFFIXES", "decode_picture", "picture_size", "read_bytes", "read_picture", "square"]

LARGEST_FILE = 256 << 20
PICTURE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".svgz"}
)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_STARTS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WebP",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_WHITE = (255, 255, 255)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_quiet = threading.Lock()


def decode_picture(
    data: bytes, *, max_pixels: int = 100_000_000, svg_size: int = 256, at_least: int | None = None
) -> Image.Image:
    """Return the (first) picture in encoded bytes: RGB, turned as EXIF says, alpha over white, 16 bits scaled to 8.

    Knows PNG, JPEG, WebP, GIF, BMP, TIFF and SVG (drawn `svg_size` pixels square, padded with white). With `at_least`
    a JPEG may come back smaller than stored, though its longer side is never below that many pixels.

    Raises:
        PictureError: if the bytes are no such picture, or are truncated, damaged or larger than `max_pixels`.
    """
    if is_svg(data):
        return square(draw_svg(data, svg_size), svg_size)
    try:
        return _decode(data, max_pixels, at_least)
    except Warning:
        # Pillow warns of what is refused here anyway or does no harm; callers may have made warnings errors.
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(data, max_pixels, at_least)


def picture_size(data: bytes, *, svg_size: int = 256) -> tuple[int, int]:
    """Return the width and height that `decode_picture` would give a sound picture, from its header alone."""
    if is_svg(data):
        return svg_size, svg_size
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            # Pillow turns the size of a TIFF itself.
            is_turned = image.format != "TIFF" and _orientation(image) >= 5
            return (height, width) if is_turned else (width, height)


def read_bytes(path: Path) -> bytes:
    """Return the content of a picture file.

    Raises:
        PictureError: if it is missing, unreadable, empty, no regular file, or larger than `LARGEST_FILE`.
    """
    try:
        if not path.is_file():
            raise PictureError("is not a file" if path.exists() else "does not exist")
        if path.stat().st_size > LARGEST_FILE:
            raise PictureError(f"is larger than {LARGEST_FILE >> 20} MiB; save it smaller")
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read ({error.strerror})") from None
    if not data:
        raise PictureError("is an empty file")
    return data


def read_picture(path: Path) -> Image.Image:
    """Read and decode a picture file as `decode_picture` does.

    Raises:
        PictureError: naming the file, if it cannot be read or decoded.
    """
    try:
        return decode_picture(read_bytes(path))
    except PictureError as error:
        raise PictureError(f"{path} {error}") from None


def square(image: Image.Image, size: int) -> Image.Image:
    """Fit the whole picture into a white square of `size` pixels, as pictures meet a model outside training."""
    scale = size / max(image.size)
    fitted = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    if fitted != image.size:
        image = image.resize(fitted, Image.Resampling.BICUBIC, reducing_gap=3.0)
    if fitted == (size, size):
        return image
    canvas = Image.new("RGB", (size, size), _WHITE)
    canvas.paste(image, ((size - fitted[0]) // 2, (size - fitted[1]) // 2))
    return canvas


def _decode(data: bytes, max_pixels: int, at_least: int | None) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                size = f"{image.width} x {image.height}, at most {max_pixels:,}"
                raise PictureError(f"has too many pixels ({size}); save it smaller")
            _ensure_supported(image)
            ensure_plausible(data, image)
            if at_least:
                _draft(image, at_least)
            image.load()
            _ensure_undamaged(data, image)
            return _upright(_as_rgb(image), image)
    except (PictureError, Warning, MemoryError):
        raise
    except UnidentifiedImageError:
        raise PictureError(_unidentified(data)) from None
    except Image.DecompressionBombError:
        raise PictureError(f"has too many pixels (at most {max_pixels:,}); save it smaller") from None
    except Exception as error:  # Pillow raises nearly every built-in exception for damaged data
        raise PictureError(f"is damaged or truncated ({error}); restore it from a copy") from None


def _unidentified(data: bytes) -> str:
    """Say why bytes were not recognised, by how they begin."""
    kind = next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
    if kind is None:
        return "is not a picture of a known kind (PNG, JPEG, WebP, GIF, BMP, TIFF, SVG)"
    return f"is a {kind} that is damaged or of a rare layout; save it anew, with 8 bits a channel"


def _ensure_supported(image: Image.Image) -> None:
    """Refuse what Pillow would decode to noise: TIFF with a plane a channel and 16 bits a sample."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        is_planar = image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
        if is_planar and max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8:
            raise PictureError(
                "is a TIFF of a rare layout (16 bits in separate planes); save it with interleaved samples"
            )


def _draft(image: Image.Image, at_least: int) -> None:
    """Let libjpeg decode at 1/2, 1/4 or 1/8 of the size; twice what is asked, so that resizing stays smooth."""
    scale = 2 * at_least / max(image.size)
    image.draft(None, (max(int(image.width * scale), 1), max(int(image.height * scale), 1)))


def _ensure_undamaged(data: bytes, image: Image.Image) -> None:
    """Check what decoding alone does not: the checksums of a PNG, and that all its rows are there."""
    if image.format == "PNG":
        with Image.open(io.BytesIO(data), formats=["PNG"]) as again:
            again.verify()
    ensure_complete(data, image)


def _as_rgb(image: Image.Image) -> Image.Image:
    if is_deep_grey(image):
        return deep_grey_to_rgb(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, _WHITE)
        canvas.paste(image, mask=image.getchannel("A"))
        return canvas
    return image.convert("RGB")


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(source))
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; unreadable EXIF says nothing."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Warning:
        raise
    except Exception:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
