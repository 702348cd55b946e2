"""What forms of STIR are made of: layers over a convolutional grid, and the head."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from limner.models.stir.config import STIRConfig
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.transformer import Transformer, TransformerConfig
from limner.nn.vision import stretched

__all__ = ["GridLayers", "perceptron"]


class GridLayers(nn.Module):
    """Transformer layers over the places of a convolutional grid, with learned positions."""

    def __init__(self, vision: InvertedResidualConfig, layers: TransformerConfig, grid_dim: int) -> None:
        super().__init__()
        self.from_grid = nn.Sequential(nn.Linear(grid_dim, layers.dim), nn.LayerNorm(layers.dim))
        self.positions = nn.Parameter(torch.randn(1, vision.grid_side**2, layers.dim) * 0.02)
        self.layers = Transformer(layers)

    def embed(self, grid: Float[Tensor, "batch grid_dim rows columns"]) -> Float[Tensor, "batch places dim"]:
        """Return what the first layer reads; over the grid of stacked pictures the positions are stretched."""
        rows, columns = grid.shape[2:]
        tokens: Tensor = self.from_grid(rearrange(grid, "b c h w -> b (h w) c"))
        return tokens + stretched(self.positions, rows, columns)


def perceptron(in_dim: int, config: STIRConfig) -> nn.Sequential:
    """Return the head; its last layer starts near 0, so that at first the cosine alone decides."""
    last = nn.Linear(config.hidden_dim, 1)
    nn.init.normal_(last.weight, std=1e-2)
    nn.init.zeros_(last.bias)
    activation = nn.Sigmoid() if config.activation == "sigmoid" else nn.GELU()
    return nn.Sequential(nn.Linear(in_dim, config.hidden_dim), activation, nn.Dropout(config.dropout_rate), last)
