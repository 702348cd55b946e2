"""Which positions of a text and a picture after it may look at which, https://arxiv.org/abs/2102.12092, appendix B.1.

A sequence is `text_length` positions of text and grid_size^2 of a picture, row by row. Text sees the text before it; a
picture's position sees all of the text and, of the positions before it,

    full          all of them
    row           the grid_size latest: back to the same column of the row above
    column        those of its own column
    convolution   those within a square window about it, whose rows run on into each other

Every position sees itself.
"""

from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

__all__ = ["AttentionKind", "attention_mask"]

AttentionKind = Literal["full", "row", "column", "convolution"]


def attention_mask(
    kind: AttentionKind, *, text_length: int, grid_size: int, kernel_size: int = 11
) -> Bool[Tensor, "length length"]:
    """Return whether a position (row) sees another (column); `kernel_size` is the side of the convolution's window."""
    length = text_length + grid_size**2
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    places = torch.arange(grid_size**2)
    back = places[:, None] - places[None, :]
    if kind == "row":
        near = back <= grid_size
    elif kind == "column":
        near = back % grid_size == 0
    elif kind == "convolution":
        reach = kernel_size // 2
        rows_back = (back + reach).div(grid_size, rounding_mode="floor")
        columns_back = back - rows_back * grid_size
        near = (rows_back <= reach) & (columns_back.abs() <= reach)
    else:
        near = torch.ones_like(back, dtype=torch.bool)
    seen[text_length:, text_length:] &= near
    return seen
