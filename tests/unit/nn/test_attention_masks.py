"""Against loops that know the paper's pictures alone."""

import pytest
import torch

from limner.nn.attention_masks import attention_mask


def keys_of(kind, place: int, *, text_length: int = 3, grid_size: int = 4, kernel_size: int = 3) -> list[int]:
    """The picture places that a picture place sees."""
    mask = attention_mask(kind, text_length=text_length, grid_size=grid_size, kernel_size=kernel_size)
    return mask[text_length + place, text_length:].nonzero().flatten().tolist()


def test_a_row_reaches_the_latest_places_up_to_the_same_column_of_the_row_above() -> None:
    """33 keys at a width of 32, the place itself among them (not only those of its own row)."""
    assert keys_of("row", 9) == [5, 6, 7, 8, 9]
    assert keys_of("row", 2) == [0, 1, 2]
    assert len(keys_of("row", 40, grid_size=32)) == 33
    assert keys_of("row", 40, grid_size=8) == list(range(32, 41))


def test_a_column_sees_its_own_column() -> None:
    assert keys_of("column", 14) == [2, 6, 10, 14]


def test_a_convolution_sees_a_window_that_runs_on_over_the_edges() -> None:
    assert keys_of("convolution", 10) == [5, 6, 7, 9, 10]
    assert keys_of("convolution", 8) == [3, 4, 5, 7, 8]  # place 7 ends the row above, place 8 begins this one


@pytest.mark.parametrize("place", [0, 5, 13, 40, 63])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_against_a_loop(place: int, kernel_size: int) -> None:
    reach = kernel_size // 2
    steps = {row * 8 + column for row in range(reach + 1) for column in range(-reach, reach + 1)}
    expected = sorted(place - step for step in steps if 0 <= step <= place)
    assert keys_of("convolution", place, grid_size=8, kernel_size=kernel_size) == expected


@pytest.mark.parametrize("kind", ["full", "row", "column", "convolution"])
def test_text_is_causal_and_every_place_of_the_picture_sees_all_of_it(kind) -> None:
    mask = attention_mask(kind, text_length=5, grid_size=4)
    assert torch.equal(mask[:5, :5], torch.ones(5, 5, dtype=torch.bool).tril())
    assert not mask[:5, 5:].any() and mask[5:, :5].all()
    assert mask.diagonal().all() and not mask.triu(1).any()
    if kind == "full":
        assert torch.equal(mask, torch.ones_like(mask).tril())
