import numpy as np
import pytest
from PIL import Image, ImageFont

from limner.data import sheet
from limner.data.sheet import contact_sheet

CELL = 100


def title_pixels(title: str) -> np.ndarray:
    """The pixels below a picture's cell."""
    image = contact_sheet([Image.new("RGB", (10, 10), "red")], [title], cell=CELL)
    return np.asarray(image)[CELL + 12 :, 8:]


def test_pictures_stand_in_a_grid() -> None:
    colours = ["red", "lime", "blue", "yellow", "magenta"]
    image = contact_sheet(
        [Image.new("RGB", (30, 30), colour) for colour in colours], list("abcde"), columns=3, cell=CELL
    )
    assert image.width == 3 * (CELL + 10) + 10
    for place, colour in enumerate(colours):
        row, column = divmod(place, 3)
        row_height = (image.height - 10) // 2
        at = (10 + column * (CELL + 10) + CELL // 2, 10 + row * row_height + CELL // 2)
        assert image.getpixel(at) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))


def test_titles_are_written_and_differ() -> None:
    shown = {title: title_pixels(title).tobytes() for title in ("", "fox", "лиса", "лисы")}
    assert len(set(shown.values())) == 4


def test_long_titles_stay_below_their_picture() -> None:
    for title in ("word " * 200, "x" * 10_000, "a\n" * 50):
        image = contact_sheet([Image.new("RGB", (9, 9))] * 2, [title, ""], columns=2, cell=CELL)
        beside = np.asarray(image)[CELL + 12 :, CELL + 10 + 9 :]
        assert (beside == 255).all()
        assert image.height < 2 * CELL


def test_no_pictures_make_a_blank_sheet() -> None:
    assert contact_sheet([], []).size[0] > 0


def test_a_system_without_fonts_still_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_FONTS", ())
    sheet._font.cache_clear()
    try:
        assert isinstance(sheet._font(12), ImageFont.FreeTypeFont)
        assert (title_pixels("fox") < 128).any()
    finally:
        sheet._font.cache_clear()
