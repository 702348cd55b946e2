"""The cached form: the first layers read each picture alone, once, and only the last ones read a pair."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limner.models.stir.base import EmbeddingSTIR
from limner.models.stir.config import STIRConfig
from limner.models.stir.layers import GridLayers, perceptron
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.parts import Parts, behind, with_carried
from limner.nn.transformer import Transformer
from limner.types import Images

__all__ = ["CachedSTIR"]

PairFeatures = Float[Tensor, "pairs dim"]


class CachedSTIR(EmbeddingSTIR):
    """Tokens of both pictures through the last layers together; the means of either picture's tokens are compared."""

    def __init__(self, config: STIRConfig) -> None:
        super().__init__(config)
        if isinstance(config.vision, InvertedResidualConfig):
            self.over_grid = GridLayers(config.vision, config.layers, self.vision.feature_dim)
        dim = self._layer_dim
        self.head = perceptron(3 * dim, config)
        if self.has_order:
            self.sides = nn.Parameter(torch.randn(2, dim) * 0.02)

    @property
    def has_order(self) -> bool:
        """Whether it matters which of two pictures is the first: where there are layers that read both."""
        return self.config.num_separate < self.config.depth

    def picture_parts(self, images: Images) -> Parts:
        """Return the embedding of RGB pictures in [0, 1], then their tokens after the layers that read each alone."""
        features, tokens = self._read_alone(images)
        return with_carried(self._embeddings_of(features), tokens)

    def compared(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return what the perceptron says of how the means differ; their order does not matter to it."""
        one, other = self._read_jointly(first, second)
        return self.head(torch.cat([(one + other) / 2, one * other, (one - other).abs()], dim=1))[:, 0].float()

    def _read_alone(self, images: Images) -> tuple[Float[Tensor, "batch feature_dim"], Float[Tensor, "batch _ dim"]]:
        """Return the features of pictures, and their tokens after the layers that read each alone."""
        alone = self.config.num_separate
        if isinstance(self.config.vision, InvertedResidualConfig):
            grid = self.vision.grid(images)
            return grid.mean(dim=(2, 3)), self.over_grid.layers.first(self.over_grid.embed(grid), alone)
        return self.vision.halfway(images, alone)

    def _read_jointly(self, first: Parts, second: Parts) -> tuple[PairFeatures, PairFeatures]:
        """Return the mean of either picture's tokens after the last layers."""
        one, other = (behind(parts, self.config.embed_dim).vectors for parts in (first, second))
        if not self.has_order:
            return self._layers.norm(one).mean(dim=1), self._layers.norm(other).mean(dim=1)
        both = torch.cat([one + self.sides[0], other + self.sides[1]], dim=1)
        read = self._layers.last(both, after=self.config.num_separate)
        return read[:, : one.shape[1]].mean(dim=1), read[:, one.shape[1] :].mean(dim=1)

    @property
    def _layers(self) -> Transformer:
        is_grid = isinstance(self.config.vision, InvertedResidualConfig)
        layers: Transformer = self.over_grid.layers if is_grid else self.vision.transformer
        return layers
