"""The local form: places of one picture seek their like in the other, with next to nothing learned."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.models.stir.base import EmbeddingSTIR
from limner.models.stir.config import STIRConfig
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.parts import Parts, behind, with_carried
from limner.nn.scale import log_scale_of
from limner.types import Images

__all__ = ["LocalSTIR"]


class LocalSTIR(EmbeddingSTIR):
    """Tokens early in the trunk, each number spread over all pictures; the mean cosine of each with its nearest."""

    def __init__(self, config: STIRConfig) -> None:
        super().__init__(config)
        is_grid = isinstance(config.vision, InvertedResidualConfig)
        dim = self.vision.dim_after(config.num_local_blocks) if is_grid else self._layer_dim
        self.token_norm = nn.BatchNorm1d(dim, affine=False)
        self.local_scale = log_scale_of(config.local_temperature)
        self.local_threshold = nn.Parameter(torch.tensor(config.local_threshold))

    def picture_parts(self, images: Images) -> Parts:
        """Return the embedding of RGB pictures in [0, 1], then unit tokens of a finer grid."""
        features, tokens = self._read(images)
        rows = self.token_norm(rearrange(tokens, "b t c -> (b t) c"))
        spread = rearrange(rows, "(b t) c -> b t c", b=len(tokens))
        return with_carried(self._embeddings_of(features), functional.normalize(spread.float(), dim=-1))

    def compared(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return how near each token of either picture comes to one of the other (ColBERT's max-sim), as log-odds."""
        one, other = (behind(parts, self.config.embed_dim).vectors for parts in (first, second))
        cosines = one @ other.transpose(1, 2)
        nearest = (cosines.amax(dim=2).mean(dim=1) + cosines.amax(dim=1).mean(dim=1)) / 2
        return (nearest - self.local_threshold) * self.local_scale.exp()

    def _read(self, images: Images) -> tuple[Float[Tensor, "batch feature_dim"], Float[Tensor, "batch _ dim"]]:
        """Return the features of pictures, and their places after some blocks of the trunk."""
        num_blocks = self.config.num_local_blocks
        if isinstance(self.config.vision, InvertedResidualConfig):
            early, grid = self.vision.grids(images, num_blocks)
            return grid.mean(dim=(2, 3)), rearrange(early, "b c h w -> b (h w) c")
        features, read = self.vision.halfway(images, num_blocks)
        return features, read[:, 1:]
