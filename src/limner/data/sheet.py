"""Contact sheets: pictures in a grid, each over its title."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from limner.data.decoding import square
from limner.errors import UsageError

__all__ = ["check_sheet", "contact_sheet", "save_sheet"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

# Found by name among the system's fonts; each covers Latin, Greek and Cyrillic.
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Ubuntu-R.ttf",
    "FreeSans.ttf",
    "arial.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "segoeui.ttf",
)
_MARGIN = 10
_MOST_LINES = 3

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    pictures: Sequence[Image.Image], titles: Sequence[str], *, columns: int = 6, cell: int = 160
) -> Image.Image:
    """Return a white sheet of pictures `cell` pixels square, `columns` a row, with up to three lines of title each."""
    columns = max(min(columns, len(pictures)), 1)
    font = _font(max(cell // 12, 11))
    wrapped = [_wrap(title, font, cell) for title in titles]
    line_height = _line_height(font)
    row_height = cell + line_height * max((len(lines) for lines in wrapped), default=0) + 2 * _MARGIN
    num_rows = max(-(-len(pictures) // columns), 1)
    sheet = Image.new("RGB", (columns * (cell + _MARGIN) + _MARGIN, num_rows * row_height + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (picture, lines) in enumerate(zip(pictures, wrapped, strict=True)):
        row, column = divmod(place, columns)
        left, top = _MARGIN + column * (cell + _MARGIN), _MARGIN + row * row_height
        sheet.paste(square(picture.convert("RGB"), cell), (left, top))
        draw.rectangle((left - 1, top - 1, left + cell, top + cell), outline=(225, 225, 225))
        for number, line in enumerate(lines):
            draw.text((left, top + cell + 3 + number * line_height), line, fill=(40, 40, 40), font=font)
    return sheet


def check_sheet(out: Path, *, option: str = "--sheet") -> None:
    """Check that the ending of a file's name is that of a kind of picture; `option` is where the name was given.

    Raises:
        UsageError: otherwise.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{option} writes {', '.join(_SUFFIXES)}; '{out}' is none of these")


def save_sheet(pictures: Sequence[Image.Image], titles: Sequence[str], out: Path) -> None:
    """Write a contact sheet, whole or not at all, and the folder that it goes into."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")
    try:
        contact_sheet(pictures, titles).save(partial)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


@cache
def _font(size: int) -> Font:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _line_height(font: Font) -> int:
    top, bottom = font.getbbox("ЙÅgj")[1::2]
    return int(bottom - min(top, 0)) + 2


def _wrap(title: str, font: Font, width: int) -> list[str]:
    """Break a title into lines of at most `width` pixels, words whole where they fit; the rest is an ellipsis."""
    lines: list[str] = []
    for paragraph in title.split("\n"):
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}".strip()
            if line and font.getlength(joined) > width:
                lines.append(line)
                joined = word
            line = joined
        lines.append(line)
    shown = lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        shown[-1] += "…"
    return [_cut(line, font, width) for line in shown]


def _cut(line: str, font: Font, width: int) -> str:
    # A hostile title may be endless; no line shows more letters than this.
    line = line[: width // 2]
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line.rstrip("… ") + "…"
