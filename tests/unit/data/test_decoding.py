import random
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.data.picture_files import encoded, gradient, interlaced_png_of, png_chunk, png_of, tiff_of

from limner.data.decoding import decode_picture, picture_size, read_picture, square
from limner.errors import PictureError

RGB8 = np.rint(gradient() * 255).astype(np.uint8)
RGB16 = np.rint(gradient() * 65_535).astype(np.uint16)
GREY = gradient()[..., :1]
GREY16 = np.rint(GREY * 65_535).astype(np.uint16)
PICTURE = Image.fromarray(RGB8)


def difference(data: bytes, expected: np.ndarray, **options: int) -> float:
    """Mean absolute difference in levels of 255 from an RGB or grey picture in [0, 1]."""
    found = np.asarray(decode_picture(data, **options), dtype=np.float64)
    return float(np.abs(found - np.broadcast_to(expected, (*expected.shape[:2], 3)) * 255).mean())


@pytest.mark.parametrize(
    ("kind", "options", "limit"),
    [
        ("PNG", {}, 0.3),
        ("BMP", {}, 0.3),
        ("TIFF", {}, 0.3),
        ("TIFF", {"compression": "tiff_lzw"}, 0.3),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0.3),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 3.0),
        ("WEBP", {"lossless": True}, 0.3),
        ("WEBP", {"quality": 90}, 4.0),
        ("JPEG", {"quality": 95}, 3.0),
        ("JPEG", {"quality": 95, "progressive": True}, 3.0),
        ("GIF", {}, 12.0),
    ],
)
def test_every_kind_is_read(kind: str, options: dict[str, object], limit: float) -> None:
    data = encoded(PICTURE, kind, **options)
    assert difference(data, gradient()) < limit
    assert picture_size(data) == (64, 48)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png_of(RGB16), gradient()),
        (png_of(GREY16), GREY),
        (png_of(np.concatenate([GREY16, np.full_like(GREY16, 65_535)], axis=-1)), GREY),
        (png_of(np.concatenate([RGB16, np.full_like(GREY16, 65_535)], axis=-1)), gradient()),
        (tiff_of(RGB16, photometric=2), gradient()),
        (tiff_of(GREY16, photometric=1), GREY),
        (tiff_of(65_535 - GREY16, photometric=0), GREY),
        (tiff_of((GREY * (2**32 - 1)).astype(np.uint32), photometric=1), GREY),
        (tiff_of(GREY.astype(np.float32), photometric=1, sample_format=3), GREY),
        (tiff_of((GREY * 200 - 100).astype(np.float32), photometric=1, sample_format=3), GREY),
        (tiff_of(RGB8, photometric=2, planar=True), gradient()),
        (tiff_of(255 - np.concatenate([RGB8, np.full((48, 64, 1), 255, np.uint8)], -1), photometric=5), gradient()),
    ],
    ids=["png-rgb16", "png-l16", "png-la16", "png-rgba16", "tiff-rgb16", "tiff-l16", "tiff-white-is-zero-16"]
    + ["tiff-u32", "tiff-float", "tiff-float-negative", "tiff-planar", "tiff-cmyk"],
)
def test_deep_pictures_are_scaled_not_clipped(data: bytes, expected: np.ndarray) -> None:
    assert difference(data, expected) < 0.6


def test_not_a_number_is_no_light() -> None:
    values = GREY.astype(np.float32).copy()
    values[0, 0] = np.nan
    values[0, 1] = np.inf
    assert difference(tiff_of(values, photometric=1, sample_format=3), GREY) < 1


def test_planes_of_sixteen_bits_are_refused_rather_than_read_as_noise() -> None:
    with pytest.raises(PictureError, match="rare layout"):
        decode_picture(tiff_of(RGB16, photometric=2, planar=True))


@pytest.mark.parametrize("quality", [95])
def test_cmyk_photographs_are_not_inverted(quality: int) -> None:
    ink = Image.fromarray(np.concatenate([255 - RGB8, np.zeros((48, 64, 1), np.uint8)], axis=-1), "CMYK")
    data = encoded(ink, "JPEG", quality=quality)
    assert b"Adobe" in data  # Pillow writes the inverted inks that Adobe's marker announces
    assert difference(data, gradient()) < 4


def test_one_bit_and_palette() -> None:
    halves = np.repeat(gradient()[..., :1] > 0.5, 3, axis=-1).astype(float)
    assert difference(encoded(PICTURE.getchannel("R").point(lambda v: 255 * (v > 127)).convert("1"), "PNG"), halves) < 3
    assert difference(encoded(PICTURE.quantize(256), "PNG"), gradient()) < 12


def _half_clear(mode: str) -> Image.Image:
    image = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    image.paste((0, 0, 255, 0), (0, 0, 20, 20))
    return image.convert(mode)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA")])
def test_clear_pixels_are_white(kind: str, mode: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode_picture(encoded(_half_clear(mode), kind, **options))
    assert image.getpixel((5, 10)) == (255, 255, 255)
    assert image.getpixel((30, 10)) != (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_clear_colours_of_palettes_are_white(kind: str) -> None:
    image = Image.new("P", (40, 20), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.paste(0, (0, 0, 20, 20))
    found = decode_picture(encoded(image, kind, transparency=0))
    assert found.getpixel((5, 10)) == (255, 255, 255)
    assert found.getpixel((30, 10)) == (255, 0, 0)


def test_a_clear_colour_key_is_white() -> None:
    key = png_chunk(b"tRNS", struct.pack(">HHH", 0, 0, 255))
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 2], pixels[:, 20:, 0] = 255, 255
    found = decode_picture(png_of(pixels, extra=key))
    assert found.getpixel((5, 10)) == (255, 255, 255)
    assert found.getpixel((30, 10)) == (255, 0, 0)


def test_half_clear_pixels_are_mixed_with_white() -> None:
    found = decode_picture(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG"))
    assert found.getpixel((0, 0)) == pytest.approx((255, 127, 127), abs=1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(kind: str, orientation: int) -> None:
    stored = Image.new("RGB", (48, 32), "white")
    stored.paste("red", (0, 0, 16, 16))  # the top left of what is stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    data = encoded(stored, kind, exif=exif, **options)
    found = decode_picture(data)
    assert found.size == picture_size(data) == ((48, 32) if orientation < 5 else (32, 48))
    corners = {name: sum(found.getpixel(at)[1:]) < 60 for name, at in _corners(*found.size).items()}
    assert [name for name, is_red in corners.items() if is_red] == [_RED_CORNER[orientation]]


def _corners(width: int, height: int) -> dict[str, tuple[int, int]]:
    left, right, top, bottom = 4, width - 5, 4, height - 5
    return {
        "top left": (left, top),
        "top right": (right, top),
        "bottom left": (left, bottom),
        "bottom right": (right, bottom),
    }


# Exif 2.32, 4.6.4: which corner row 0, column 0 is shown in.
_RED_CORNER = {
    1: "top left",
    2: "top right",
    3: "bottom right",
    4: "bottom left",
    5: "top left",
    6: "top right",
    7: "bottom right",
    8: "bottom left",
}


def test_damaged_exif_does_not_lose_the_picture() -> None:
    data = encoded(PICTURE, "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0")
    assert difference(data, gradient()) < 3


def test_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decode_picture(data).getpixel((10, 10)) == (255, 0, 0), kind


def test_photographs_are_decoded_smaller_when_that_is_enough() -> None:
    large = PICTURE.resize((1600, 1200), Image.Resampling.BICUBIC)
    data = encoded(large, "JPEG", quality=95)
    small = decode_picture(data, at_least=128)
    assert 256 <= max(small.size) < 1600
    assert decode_picture(data).size == (1600, 1200)
    near = np.asarray(square(small, 128), dtype=float) - np.asarray(square(decode_picture(data), 128), dtype=float)
    assert np.abs(near).mean() < 1.5


@pytest.mark.parametrize(
    "data",
    [
        encoded(PICTURE, "PNG"),
        encoded(PICTURE, "JPEG"),
        encoded(PICTURE, "JPEG", progressive=True),
        encoded(PICTURE, "WEBP"),
        encoded(PICTURE, "GIF"),
        encoded(PICTURE, "BMP"),
        encoded(PICTURE, "TIFF"),
        encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    ],
    ids=["png", "jpeg", "progressive", "webp", "gif", "bmp", "tiff", "lzw"],
)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated_pictures_are_refused(data: bytes, share: float) -> None:
    with pytest.raises(PictureError):
        decode_picture(data[: int(len(data) * share)])


def test_a_flipped_bit_in_a_png_is_noticed() -> None:
    data = bytearray(png_of(RGB8))
    data[len(data) // 2] ^= 4
    with pytest.raises(PictureError):
        decode_picture(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"not a picture",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6 2 2 255 " + bytes(12),
        b"<html><body>hello</body></html>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        bytes(4096),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        decode_picture(data)


@pytest.mark.parametrize("claimed", [(100_000, 100_000), (9_000, 20_000), (2**31 - 1, 2**31 - 1), (0, 5)])
def test_lying_headers_and_bombs_are_refused_before_decoding(claimed: tuple[int, int]) -> None:
    with pytest.raises(PictureError):
        decode_picture(png_of(RGB8, claimed=claimed))


@pytest.mark.parametrize("height", [49, 96, 4800])
def test_a_png_that_claims_more_rows_than_it_holds_is_refused(height: int) -> None:
    with pytest.raises(PictureError, match="claims more"):
        decode_picture(png_of(RGB8, claimed=(64, height)))


def test_a_jpeg_that_claims_far_more_rows_than_it_holds_is_refused() -> None:
    data = encoded(PICTURE, "JPEG")
    size = data.index(b"\xff\xc0") + 5
    with pytest.raises(PictureError, match="claims more"):
        decode_picture(data[:size] + struct.pack(">HH", 9000, 9000) + data[size + 4 :])


def test_dark_and_interlaced_pictures_hold_what_they_claim() -> None:
    black = Image.new("RGB", (3000, 2000))
    assert decode_picture(encoded(black, "PNG")).size == (3000, 2000)
    assert decode_picture(encoded(black, "JPEG", quality=5)).size == (3000, 2000)
    assert decode_picture(encoded(black, "JPEG", quality=5, progressive=True)).size == (3000, 2000)
    for width, height in ((1, 1), (3, 1), (1, 5), (9, 9), (64, 48)):
        assert decode_picture(interlaced_png_of(RGB8[:height, :width])).size == (width, height)
    assert difference(interlaced_png_of(RGB8), gradient()) < 0.3
    with pytest.raises(PictureError):
        decode_picture(interlaced_png_of(RGB8, claimed=(64, 56)))


def test_the_limit_of_pixels_is_the_callers() -> None:
    data = encoded(PICTURE, "PNG")
    assert decode_picture(data, max_pixels=64 * 48).size == (64, 48)
    with pytest.raises(PictureError, match="too many pixels"):
        decode_picture(data, max_pixels=64 * 48 - 1)


def test_a_bomb_of_text_is_harmless() -> None:
    bomb = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(100 << 20), 1))
    with pytest.raises(PictureError):
        decode_picture(png_of(RGB8, extra=bomb))


def test_damaged_files_end_in_a_picture_or_a_named_error() -> None:
    rng = random.Random(7)
    small = PICTURE.resize((24, 18))
    seeds = [
        *(encoded(small, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")),
        encoded(small, "TIFF", compression="tiff_lzw"),
        encoded(small, "JPEG", progressive=True, exif=Image.Exif()),
        encoded(small.quantize(16), "GIF", transparency=0),
        encoded(small.convert("CMYK"), "JPEG"),
        png_of(GREY16[:18, :24]),
        tiff_of(RGB16[:18, :24], photometric=2),
    ]
    outcomes = {True: 0, False: 0}
    for _ in range(60):
        for seed in seeds:
            data = bytearray(seed)
            for _ in range(rng.choice((1, 3, 12))):
                data[rng.randrange(min(len(data), rng.choice((64, 10**6))))] = rng.choice((0, 255, rng.randrange(256)))
            if rng.random() < 0.2:
                del data[rng.randrange(len(data)) :]
            try:
                is_picture = decode_picture(bytes(data), max_pixels=1_000_000).mode == "RGB"
            except PictureError:
                is_picture = False
            outcomes[is_picture] += 1
    assert min(outcomes.values()) > 50


def test_threads_may_decode_at_once() -> None:
    data = [encoded(PICTURE, kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF")] * 8
    expected = [np.asarray(decode_picture(each)) for each in data]
    found: dict[int, bool] = {}

    def decode(thread: int) -> None:
        found[thread] = all(
            np.array_equal(np.asarray(decode_picture(each)), then) for each, then in zip(data, expected, strict=True)
        )

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    empty, folder, huge = tmp_path / "empty.png", tmp_path / "folder.png", tmp_path / "huge.png"
    empty.touch()
    folder.mkdir()
    with huge.open("wb") as file:
        file.truncate(300 << 20)
    for path, reason in ((empty, "empty"), (folder, "not a file"), (huge, "larger"), (tmp_path / "no.png", "exist")):
        with pytest.raises(PictureError, match=f"{path.name}.*{reason}"):
            read_picture(path)


def test_square_shows_the_whole_picture_on_white() -> None:
    wide = Image.new("RGB", (80, 20), "red")
    found = square(wide, 40)
    assert found.size == (40, 40)
    assert found.getpixel((20, 20)) == (255, 0, 0)
    assert found.getpixel((20, 5)) == found.getpixel((20, 34)) == (255, 255, 255)
    assert square(Image.new("RGB", (10_000, 1)), 64).size == (64, 64)
    assert np.array_equal(
        np.asarray(square(PICTURE.crop((0, 0, 48, 48)), 48)), np.asarray(PICTURE.crop((0, 0, 48, 48)))
    )
