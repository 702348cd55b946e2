"""What a causal transformer keeps of the positions it has read, so that each is computed once."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["KeyValueCache", "LayerCache"]


class LayerCache(NamedTuple):
    """One layer's keys and values, with room for all positions, of which the first `num_read` are filled."""

    keys: Float[Tensor, "batch heads capacity dim"]
    values: Float[Tensor, "batch heads capacity dim"]
    num_read: int

    def extend(
        self, keys: Float[Tensor, "batch heads length dim"], values: Float[Tensor, "batch heads length dim"]
    ) -> tuple[Float[Tensor, "batch heads read dim"], Float[Tensor, "batch heads read dim"]]:
        """Write what is read now behind what was read before; return both together, without a copy."""
        end = self.num_read + keys.shape[2]
        self.keys[:, :, self.num_read : end] = keys
        self.values[:, :, self.num_read : end] = values
        return self.keys[:, :, :end], self.values[:, :, :end]


class KeyValueCache:
    """Keys and values of every layer, in memory that is set aside once: [depth, batch, heads, capacity, dim].

    `condition` is what a model adds to all that it reads from now on, if it has such a thing.
    """

    def __init__(
        self,
        keys: Float[Tensor, "depth batch heads capacity dim"],
        values: Float[Tensor, "depth batch heads capacity dim"],
        num_read: int = 0,
        condition: Float[Tensor, "batch width"] | None = None,
    ) -> None:
        self.keys, self.values, self.num_read, self.condition = keys, values, num_read, condition

    @classmethod
    def empty(
        cls, *, depth: int, batch_size: int, num_heads: int, capacity: int, head_dim: int, like: Tensor
    ) -> "KeyValueCache":
        """Return a cache in which nothing is read yet, of the type and device of `like`."""
        shape = (depth, batch_size, num_heads, capacity, head_dim)
        return cls(like.new_empty(shape), like.new_empty(shape))

    def layer(self, number: int) -> LayerCache:
        """Return the part of one layer."""
        return LayerCache(self.keys[number], self.values[number], self.num_read)

    def take(self, rows: Int[Tensor, " rows"]) -> "KeyValueCache":
        """Return a cache of its own for the sequences at these places, each as often as it is named."""
        return KeyValueCache(
            torch.index_select(self.keys, 1, rows),
            torch.index_select(self.values, 1, rows),
            self.num_read,
            None if self.condition is None else self.condition[rows],
        )
