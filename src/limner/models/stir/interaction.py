"""The small form: a perceptron over two embeddings and how they interact."""

import torch
from jaxtyping import Float
from torch import Tensor

from limner.models.stir.base import EmbeddingSTIR
from limner.models.stir.config import STIRConfig
from limner.models.stir.layers import perceptron
from limner.nn.parts import Parts, whole
from limner.types import Images

__all__ = ["InteractionSTIR"]


class InteractionSTIR(EmbeddingSTIR):
    """Product and distance of two embeddings, number by number, into a perceptron."""

    def __init__(self, config: STIRConfig) -> None:
        super().__init__(config)
        self.head = perceptron(2 * config.embed_dim, config)

    def picture_parts(self, images: Images) -> Parts:
        """Return the embedding of RGB pictures in [0, 1]."""
        return whole(self.encode_images(images)[:, None])

    def compared(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return what the perceptron says of pairs."""
        one, other = self.embeddings(first), self.embeddings(second)
        numbers = torch.cat([one * other, (one - other).abs()], dim=1) * self.config.embed_dim**0.5
        return self.head(numbers)[:, 0].float()
