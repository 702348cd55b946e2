import base64
import gzip
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.data.picture_files import encoded, png_of

from limner.data import svg
from limner.data.decoding import decode_picture, picture_size
from limner.errors import PictureError

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
SQUARE = '<rect width="10" height="10" fill="red"/>'
RED, WHITE = (255, 0, 0), (255, 255, 255)


def centre(text: str) -> object:
    image = decode_picture(text.encode(), svg_size=64)
    assert image.size == (64, 64)
    return image.getpixel((32, 32))


@pytest.mark.parametrize(
    "attributes",
    ['viewBox="0 0 10 10"', 'width="10" height="10"', 'width="10pt" height="10pt" viewBox="0 0 10 10"', ""]
    + ['width="5cm" height="5cm" viewBox="0 0 10 10"', 'width="100%" height="100%" viewBox="0 0 10 10"'],
)
def test_svg_of_any_size_fills_the_square(attributes: str) -> None:
    assert centre(f"{OPEN}{attributes}>{SQUARE}</svg>") == RED
    assert picture_size(f"{OPEN}{attributes}>{SQUARE}</svg>".encode(), svg_size=64) == (64, 64)


def test_svg_is_padded_with_white() -> None:
    image = decode_picture(f'{OPEN}viewBox="0 0 20 10"><rect width="20" height="10" fill="red"/></svg>'.encode())
    assert [image.getpixel((128, y)) for y in (10, 128, 245)] == [WHITE, RED, WHITE]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_svg_in_other_encodings(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{name}"?>\n<!-- é -->{OPEN}viewBox="0 0 10 10">{SQUARE}</svg>'
    assert decode_picture(text.encode(encoding)).getpixel((128, 128)) == RED


def test_compressed_svg_is_read_and_a_bomb_of_it_is_not() -> None:
    text = f'{OPEN}viewBox="0 0 10 10">{SQUARE}</svg>'.encode()
    assert decode_picture(gzip.compress(text)).getpixel((128, 128)) == RED
    for damaged in (gzip.compress(bytes(100 << 20)), b"\x1f\x8b" + bytes(50), gzip.compress(text)[:40]):
        with pytest.raises(PictureError):
            decode_picture(damaged)


@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
@pytest.mark.parametrize("scheme", ["", "file://", "relative"])
@pytest.mark.parametrize("element", ["image", "use", "feImage"])
def test_svg_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, scheme: str, element: str
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), "lime").save(secret)
    monkeypatch.chdir(tmp_path)
    place = secret.name if scheme == "relative" else f"{scheme}{secret}"
    drawn = f'<{element} {attribute}="{place}" width="10" height="10"/>'
    if element == "feImage":
        drawn = f'<filter id="f">{drawn}</filter><rect filter="url(#f)" width="10" height="10" fill="white"/>'
    image = np.asarray(decode_picture(f'{OPEN}viewBox="0 0 10 10">{drawn}</svg>'.encode()))
    assert not ((image[..., 1] > 200) & (image[..., 0] < 50)).any()


def test_svg_reads_no_external_entity(tmp_path: Path) -> None:
    (tmp_path / "part.svg").write_text(SQUARE)
    for declaration in (f'SYSTEM "file://{tmp_path}/part.svg"', f'PUBLIC "x" "{tmp_path}/part.svg"'):
        document = f'<!DOCTYPE svg [<!ENTITY part {declaration}>]>{OPEN}viewBox="0 0 10 10">&part;</svg>'
        with pytest.raises(PictureError):
            decode_picture(document.encode())


def test_svg_with_small_entities_of_its_own_is_read() -> None:
    document = f'<!DOCTYPE svg [<!ENTITY colour "red">]>{OPEN}viewBox="0 0 10 10">'
    assert centre(document + '<rect width="10" height="10" fill="&colour;"/></svg>') == RED


def test_pictures_embedded_in_svg_are_shown_unless_they_are_bombs() -> None:
    def document(data: bytes, kind: str = "png") -> str:
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        return f'{OPEN}viewBox="0 0 10 10"><image href="{uri}" width="10" height="10"/></svg>'

    assert centre(document(encoded(Image.new("RGB", (4, 4), "red"), "PNG"))) == RED
    assert centre(document(png_of(np.zeros((4, 4, 3), np.uint8), claimed=(60_000, 60_000)))) == WHITE
    inner = f'{OPEN}viewBox="0 0 10 10">{SQUARE}</svg>'.encode()
    assert centre(document(inner, "svg+xml")) == WHITE


def _laughs() -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE svg [<!ENTITY a0 "x">{entities}]>{OPEN}viewBox="0 0 10 10"><text>&a9;</text></svg>'


def _uses() -> str:
    levels = "".join(f'<g id="u{n}">{f"""<use href="#u{n - 1}"/>""" * 10}</g>' for n in range(1, 9))
    return f'{OPEN}viewBox="0 0 10 10"><defs><rect id="u0" width="1" height="1"/>{levels}</defs><use href="#u8"/></svg>'


def _chain() -> str:
    links = "".join(f'<g id="c{n}"><use href="#c{n - 1}"/></g>' for n in range(1, 5_000))
    return (
        f'{OPEN}viewBox="0 0 10 10"><defs><rect id="c0" width="1" height="1"/>{links}</defs><use href="#c4999"/></svg>'
    )


@pytest.mark.parametrize(
    "document",
    [
        _laughs(),
        _uses(),
        _chain(),
        f'{OPEN}viewBox="0 0 10 10">{"<g>" * 100_000}{"</g>" * 100_000}</svg>',
        f'{OPEN}width="0" height="0">{SQUARE}</svg>',
        f"{OPEN}viewBox='0 0 10 10'>{SQUARE}",
        "<svg",
        "<svg:svg>",
        "<html><svg></svg></html>",
    ],
    ids=["laughs", "uses", "chain", "deep", "no-size", "unclosed", "start", "prefix", "html"],
)
def test_hostile_and_broken_svg_is_refused(document: str) -> None:
    with pytest.raises(PictureError):
        decode_picture(document.encode())


def test_a_drawing_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "_PATIENCE_SECONDS", 0.5)
    noise = '<filter id="f"><feTurbulence baseFrequency="0.5" numOctaves="100000000"/></filter>'
    endless = f'{OPEN}viewBox="0 0 10 10">{noise}<rect filter="url(#f)" width="10" height="10"/></svg>'
    with pytest.raises(PictureError, match="too long"):
        decode_picture(endless.encode())
    assert centre(f'{OPEN}viewBox="0 0 10 10">{SQUARE}</svg>') == RED


@pytest.mark.parametrize("size", ['width="1000000000" height="1000000000"', 'width="1" height="100000000"'])
def test_giant_svg_is_drawn_small(size: str) -> None:
    assert decode_picture(f"{OPEN}{size}>{SQUARE}</svg>".encode()).size == (256, 256)


def test_threads_may_draw_at_once() -> None:
    colours = ["#ff0000", "#00ff00", "#0000ff", "#ffff00"]
    wrong: list[str] = []

    def draw(colour: str) -> None:
        document = f'{OPEN}viewBox="0 0 10 10"><rect width="10" height="10" fill="{colour}"/></svg>'
        for _ in range(10):
            found = decode_picture(document.encode(), svg_size=32).getpixel((16, 16))
            if "#{:02x}{:02x}{:02x}".format(*found) != colour:
                wrong.append(colour)

    threads = [threading.Thread(target=draw, args=(colour,)) for colour in colours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
