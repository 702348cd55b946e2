import numpy as np
import pytest
import torch

from limner.data.tints import TINTS, Tint, Tinted, names_a_colour, tinted, tints_of


def of(tint: int, *, line: float = 0.5) -> Tinted:
    return Tinted(tint, np.array([0.5, line, 0.0, 0.0], dtype=np.float32))


def colour(tint: Tint) -> torch.Tensor:
    return (torch.tensor(tint.darker) + torch.tensor(tint.lighter)) / 2


@pytest.mark.parametrize("number", range(len(TINTS)))
def test_black_takes_the_colour_and_white_stays(number: int) -> None:
    images = torch.ones(1, 3, 8, 8)
    images[:, :, 2:6, 2:6] = 0
    found = tinted(images, [of(number)])[0]
    assert torch.allclose(found[:, 3, 3], colour(TINTS[number]), atol=1e-6)
    assert torch.equal(found[:, 0, 0], torch.ones(3))


def test_lines_stay_black_around_what_is_filled_and_take_the_colour_where_nothing_is() -> None:
    filled = torch.full((1, 3, 8, 8), 0.7)
    filled[:, :, 0] = 0
    lines = torch.ones(1, 3, 8, 8)
    lines[:, :, 0] = 0
    found = tinted(torch.cat([filled, lines]), [of(0, line=0.1)] * 2)
    assert found[0, :, 0, 0].max() < 0.01 < found[0, 0, 4, 4] - found[0, 2, 4, 4]
    assert torch.allclose(found[1, :, 0, 0], colour(TINTS[0]), atol=1e-6)


def test_only_what_has_the_most_frequent_hue_is_repainted_and_keeps_its_shades() -> None:
    images = torch.ones(1, 3, 10, 10)
    images[0, :, :6] = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    images[0, :, 5] = torch.tensor([0.4, 0.05, 0.05])[:, None]
    images[0, :, 7] = torch.tensor([0.1, 0.7, 0.2])[:, None]
    images[0, :, 8] = 0
    blue = [tint.name for tint in TINTS].index("blue")
    found = tinted(images, [of(blue, line=0.9)])[0]
    body, shadow = found[:, 0, 0], found[:, 5, 0]
    assert body[2] > 1.3 * max(body[0], body[1]) and shadow[2] > 2 * shadow[0] and bool((shadow < body).all())
    assert torch.equal(found[:, 6:], images[0, :, 6:])


def test_a_picture_without_a_colour_is_drawn_in_one() -> None:
    images = torch.ones(1, 3, 8, 8)
    images[:, :, 2:6, 2:6] = 0
    assert torch.equal(tinted(images, [of(0, line=0.9)]), tinted(images, [of(0, line=0.5)]))


def test_two_that_follow_each_other_are_both_changed_and_differ_in_colour() -> None:
    found = [tints_of(element, 5, 0.3) for element in range(4000)]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert all((one is None) == (other is None) for one, other in pairs)
    changed = [(one.tint, other.tint) for one, other in pairs if one is not None and other is not None]
    assert 0.25 < len(changed) / len(pairs) < 0.35
    assert all(one != other for one, other in changed)
    assert {tint for pair in changed for tint in pair} == set(range(len(TINTS)))


@pytest.mark.parametrize("text", ["blue circle", "Golden fish", "a grey-haired man", "colour wheel"])
def test_captions_that_say_a_colour_are_known(text: str) -> None:
    assert names_a_colour(text)


@pytest.mark.parametrize("text", ["a redwood", "credit card", "blueberries", "whitespace"])
def test_others_are_not(text: str) -> None:
    assert not names_a_colour(text)
