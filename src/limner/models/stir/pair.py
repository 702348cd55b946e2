"""The paper's form: both pictures in one pass."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from limner.models.stir.base import STIR
from limner.models.stir.config import STIRConfig
from limner.models.stir.layers import GridLayers, perceptron
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.parts import Parts, whole
from limner.types import Images

__all__ = ["PairSTIR"]


class PairSTIR(STIR):
    """Pictures one above the other through the whole network; it has no embeddings, and keeps pixels."""

    def __init__(self, config: STIRConfig) -> None:
        super().__init__(config)
        if isinstance(config.vision, InvertedResidualConfig):
            self.over_grid = GridLayers(config.vision, config.layers, self.vision.feature_dim)
        self.head = perceptron(self._layer_dim, config)

    @property
    def has_order(self) -> bool:
        """Whether it matters which of two pictures is the first: the upper one."""
        return True

    def picture_parts(self, images: Images) -> Parts:
        """Return rows of pixels of RGB pictures in [0, 1]."""
        return whole(rearrange(images, "b c h w -> b h (w c)"))

    def ordered_scores(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of pairs, the first picture above the second."""
        stacked = torch.cat([first.vectors, second.vectors], dim=1)
        return self.head(self._read(rearrange(stacked, "b h (w c) -> b c h w", c=3)))[:, 0].float()

    def _read(self, stacked: Images) -> Float[Tensor, "pairs dim"]:
        if isinstance(self.config.vision, InvertedResidualConfig):
            return self.over_grid.layers(self.over_grid.embed(self.vision.grid(stacked))).mean(dim=1)
        features: Tensor = self.vision(stacked)
        return features
