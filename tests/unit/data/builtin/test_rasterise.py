import io

import numpy as np
from PIL import Image

from limner.data.builtin.rasterise import Raster, is_blank, rasterise, thumbnail

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'


def square(x: int, y: int, side: int, colour: str = "red") -> bytes:
    return f'{OPEN}<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{colour}"/></svg>'.encode()


def opened(raster: Raster) -> Image.Image:
    return Image.open(io.BytesIO(raster.png))


def test_drawings_come_in_order_with_the_reasons_of_the_others() -> None:
    shades = [square(0, 0, 100, f"rgb({number},0,0)") for number in range(0, 250, 10)]
    rasters = list(rasterise([*shades, b"<svg", square(0, 0, 100, "white"), square(2, 2, 4, "grey")], 32))
    assert [opened(raster).getpixel((16, 16)) for raster in rasters[:25]] == [(n, 0, 0) for n in range(0, 250, 10)]
    assert [bool(raster.png) for raster in rasters[25:]] == [False, False, False]
    assert rasters[25].dropped.startswith("cannot be drawn") and rasters[26].dropped == "blank"
    assert list(rasterise([], 32)) == []


def test_trimming_cuts_off_wide_margins_and_leaves_narrow_ones() -> None:
    small, large = rasterise([square(60, 10, 20), square(10, 10, 81)], 64, trim=True)
    assert {opened(small).getpixel(at) for at in ((4, 4), (32, 32), (59, 59))} == {(255, 0, 0)}
    assert opened(large).getpixel((2, 2)) == (255, 255, 255)


def test_a_faint_picture_is_blank() -> None:
    assert is_blank(np.full(768, 0.98, dtype=np.float32))
    assert not is_blank(thumbnail(Image.new("RGB", (40, 30), (255, 200, 200))))
