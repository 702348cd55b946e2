"""STIR: a siamese transformer reads two pictures together and says whether they show the same thing.

Paper: https://arxiv.org/abs/2304.13393. Four forms of one question, the score being the log-odds of yes:

pair         both pictures, one above the other -> one pass of the layers -> mean, or class token -> perceptron
interaction  embeddings -> product and distance of each number -> perceptron, added to the scaled cosine
cached       picture -> first layers \\
                                      last layers, jointly -> both means compared -> perceptron, added to the cosine
             picture -> first layers /
local        embeddings, and tokens of a finer grid early in the trunk -> each token's nearest in the other picture ->
             mean of these cosines, added to the cosine

`pair` is the paper's. `cached` keeps what the first `num_separate` layers make of a candidate, so that only the last
ones run for each pair; with all layers separate nothing is read jointly. A vision transformer's layers are its own
blocks, so that a trained extractor is started from as it is; a convolutional trunk gets layers over its grid.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Finite, Positive, Share, Whole
from limner.errors import UsageError
from limner.models.relevance import RelevanceModel
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.parts import Parts, whole
from limner.nn.scale import log_scale_of
from limner.nn.transformer import Transformer, TransformerConfig
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig, stretched
from limner.types import Embeddings, Images, Tokens

__all__ = ["STIR", "STIRConfig"]

_PAIRS_AT_ONCE = 128

PairFeatures = Float[Tensor, "pairs dim"]


@dataclass(frozen=True, kw_only=True)
class STIRConfig:
    """The form, the trunk and embedding as in CLIP, and the layers that read the pair.

    `layers` are for convolutional trunks. Both orders of a pair are averaged if it `is_symmetric` (STIR-Symmetric).
    The cosine c counts as (c - cosine_threshold) / cosine_temperature, both learned from these values on, and so does
    the mean of the local form's cosines, of tokens after `local_depth` blocks of the trunk (0: two thirds of them). The
    paper's published code has a perceptron with the activation sigmoid.
    """

    kind: Literal["stir"] = "stir"
    form: Literal["pair", "interaction", "cached", "local"] = "cached"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    embed_dim: Count = 256
    layers: TransformerConfig = field(default_factory=lambda: TransformerConfig(dim=192, depth=4, num_heads=3))
    num_separate: Whole = 2
    hidden_dim: Count = 192
    dropout_rate: Share = 0.1
    activation: Literal["gelu", "sigmoid"] = "gelu"
    is_symmetric: bool = True
    cosine_temperature: Positive = 0.1
    cosine_threshold: Finite = 0.6
    local_depth: Whole = 0
    local_temperature: Positive = 0.025
    local_threshold: Finite = 0.5

    def __post_init__(self) -> None:
        """Check that there are as many layers as shall read alone, or blocks as shall be read."""
        if self.local_depth > self.num_blocks:
            raise ValueError(f"local_depth {self.local_depth} is more than the {self.num_blocks} blocks of the trunk")
        if self.num_separate > self.depth:
            raise ValueError(f"num_separate {self.num_separate} is more than the {self.depth} layers that there are")

    @property
    def depth(self) -> int:
        """The number of layers: of the vision transformer itself, or of those over a convolutional grid."""
        if isinstance(self.vision, VisionTransformerConfig):
            return self.vision.transformer.depth
        return self.layers.depth

    @property
    def num_blocks(self) -> int:
        """The number of blocks of the trunk."""
        return self.depth if isinstance(self.vision, VisionTransformerConfig) else self.vision.num_blocks

    @property
    def num_local_blocks(self) -> int:
        """After how many of them the local form takes its tokens."""
        return self.local_depth or -(-2 * self.num_blocks // 3)


class STIR(RelevanceModel):
    """Two pictures become the log-odds that they show the same thing; it reads no words."""

    reads_pairs = True
    reads_texts = False

    def __init__(self, config: STIRConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        if isinstance(config.vision, InvertedResidualConfig) and config.form in ("pair", "cached"):
            self.over_grid = GridLayers(config.vision, config.layers, self.vision.feature_dim)
        dim = self.vision.feature_dim if isinstance(config.vision, VisionTransformerConfig) else config.layers.dim
        if config.form == "pair":
            self.head = _perceptron(dim, config)
            return
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.cosine_scale = log_scale_of(config.cosine_temperature)
        self.cosine_threshold = nn.Parameter(torch.tensor(config.cosine_threshold))
        if config.form == "interaction":
            self.head = _perceptron(2 * config.embed_dim, config)
            return
        if config.form == "local":
            is_transformer = isinstance(config.vision, VisionTransformerConfig)
            self.dim = dim if is_transformer else self.vision.dim_after(config.num_local_blocks)
            self.token_norm = nn.BatchNorm1d(self.dim, affine=False)
            self.local_scale = log_scale_of(config.local_temperature)
            self.local_threshold = nn.Parameter(torch.tensor(config.local_threshold))
        else:
            self.dim = dim
            self.head = _perceptron(3 * dim, config)
        # The embedding travels in front of the tokens, in as many of their width as it takes.
        self.num_carriers = -(-config.embed_dim // self.dim)
        if config.form == "cached" and config.num_separate < config.depth:
            self.sides = nn.Parameter(torch.randn(2, dim) * 0.02)

    def encode_images(self, images: Images) -> Embeddings:
        """Return unit embeddings of pictures, as the extractor makes them; the pair form has none."""
        return self._embeddings_of(self.vision(images))

    def picture_parts(self, images: Images) -> Parts:
        """Return what is kept of RGB pictures in [0, 1]: rows of pixels, the embedding, or embedding and tokens."""
        if self.config.form == "pair":
            return whole(rearrange(images, "b c h w -> b h (w c)"))
        if self.config.form == "interaction":
            return whole(self.encode_images(images)[:, None])
        features, tokens = self._read_local(images) if self.config.form == "local" else self._read_alone(images)
        unit = self._embeddings_of(features)
        filled = functional.pad(unit, (0, self.num_carriers * self.dim - unit.shape[1]))
        carriers = filled.view(len(unit), self.num_carriers, self.dim)
        return whole(torch.cat([carriers, tokens.float()], dim=1))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Raise a UsageError: only pictures are compared."""
        raise UsageError("stir compares pictures with pictures; ask with a picture, or with another re-ranker")

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the log-odds that picture i of both shows the same thing; outside of training, 128 pairs at a time."""
        if self.training or len(queries) <= _PAIRS_AT_ONCE:
            return self._scores(queries, documents)
        places = torch.arange(len(queries), device=queries.mask.device).split(_PAIRS_AT_ONCE)
        return torch.cat([self._scores(queries.take(rows), documents.take(rows)) for rows in places])

    def ordered_scores(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of pairs read in one order only."""
        if self.config.form == "pair":
            return self.head(self._read_stacked(first, second))[:, 0].float()
        one, other = self.embeddings(first), self.embeddings(second)
        cosines = (one * other).sum(dim=1)
        likely = (cosines - self.cosine_threshold) * self.cosine_scale.exp()
        if self.config.form == "interaction":
            compared = torch.cat([one * other, (one - other).abs()], dim=1) * self.config.embed_dim**0.5
        elif self.config.form == "local":
            return likely + (self._local_cosines(first, second) - self.local_threshold) * self.local_scale.exp()
        else:
            compared = _compared(*self._read_jointly(first, second))
        return likely + self.head(compared)[:, 0].float()

    def embeddings(self, parts: Parts) -> Embeddings:
        """Return the unit embeddings that parts carry; those of the pair form are none."""
        if self.config.form == "interaction":
            return parts.vectors[:, 0]
        return parts.vectors[:, : self.num_carriers].flatten(1)[:, : self.config.embed_dim]

    def _scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        scores = self.ordered_scores(queries, documents)
        has_order = self.config.form == "pair" or (
            self.config.form == "cached" and self.config.num_separate < self.config.depth
        )
        if not (has_order and self.config.is_symmetric):
            return scores
        return (scores + self.ordered_scores(documents, queries)) / 2

    def _embeddings_of(self, features: Float[Tensor, "batch feature_dim"]) -> Embeddings:
        return functional.normalize(self.image_projection(features).float(), dim=-1)

    def _read_alone(self, images: Images) -> tuple[Float[Tensor, "batch feature_dim"], Float[Tensor, "batch _ dim"]]:
        """Return the features of pictures, and their tokens after the layers that read each alone."""
        alone = self.config.num_separate
        if isinstance(self.config.vision, VisionTransformerConfig):
            return self.vision.halfway(images, alone)
        grid = self.vision.grid(images)
        return grid.mean(dim=(2, 3)), self.over_grid.layers.first(self.over_grid.embed(grid), alone)

    def _read_local(self, images: Images) -> tuple[Float[Tensor, "batch feature_dim"], Float[Tensor, "batch _ dim"]]:
        """Return the features of pictures, and unit tokens of a finer grid, each number spread over all pictures."""
        depth = self.config.num_local_blocks
        if isinstance(self.config.vision, VisionTransformerConfig):
            features, read = self.vision.halfway(images, depth)
            tokens = read[:, 1:]
        else:
            early, grid = self.vision.grids(images, depth)
            features, tokens = grid.mean(dim=(2, 3)), rearrange(early, "b c h w -> b (h w) c")
        spread = rearrange(self.token_norm(rearrange(tokens, "b t c -> (b t) c")), "(b t) c -> b t c", b=len(tokens))
        return features, functional.normalize(spread.float(), dim=-1)

    def _local_cosines(self, first: Parts, second: Parts) -> Float[Tensor, " pairs"]:
        """Return how near each token of either picture comes to one of the other, the mean (ColBERT's max-sim)."""
        one, other = first.vectors[:, self.num_carriers :], second.vectors[:, self.num_carriers :]
        cosines = one @ other.transpose(1, 2)
        return (cosines.amax(dim=2).mean(dim=1) + cosines.amax(dim=1).mean(dim=1)) / 2

    def _read_jointly(self, first: Parts, second: Parts) -> tuple[PairFeatures, PairFeatures]:
        """Return the mean of either picture's tokens after the last layers."""
        one, other = first.vectors[:, self.num_carriers :], second.vectors[:, self.num_carriers :]
        alone, length = self.config.num_separate, one.shape[1]
        layers = self._layers
        if alone == self.config.depth:
            return layers.norm(one).mean(dim=1), layers.norm(other).mean(dim=1)
        read = layers.last(torch.cat([one + self.sides[0], other + self.sides[1]], dim=1), after=alone)
        return read[:, :length].mean(dim=1), read[:, length:].mean(dim=1)

    def _read_stacked(self, first: Parts, second: Parts) -> PairFeatures:
        """Return the features of pictures one above the other, from one pass."""
        stacked = torch.cat([first.vectors, second.vectors], dim=1)
        images = rearrange(stacked, "b h (w c) -> b c h w", c=3)
        if isinstance(self.config.vision, VisionTransformerConfig):
            features: Tensor = self.vision(images)
            return features
        return self.over_grid.layers(self.over_grid.embed(self.vision.grid(images))).mean(dim=1)

    @property
    def _layers(self) -> Transformer:
        is_transformer = isinstance(self.config.vision, VisionTransformerConfig)
        layers: Transformer = self.vision.transformer if is_transformer else self.over_grid.layers
        return layers


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


def _compared(one: PairFeatures, other: PairFeatures) -> Float[Tensor, "pairs _"]:
    """Return what does not depend on the order of two vectors: their mean, product and distance, number by number."""
    return torch.cat([(one + other) / 2, one * other, (one - other).abs()], dim=1)


def _perceptron(in_dim: int, config: STIRConfig) -> nn.Sequential:
    """Return the head; its last layer starts near 0, so that at first the cosine alone decides."""
    last = nn.Linear(config.hidden_dim, 1)
    nn.init.normal_(last.weight, std=1e-2)
    nn.init.zeros_(last.bias)
    activation = nn.Sigmoid() if config.activation == "sigmoid" else nn.GELU()
    return nn.Sequential(nn.Linear(in_dim, config.hidden_dim), activation, nn.Dropout(config.dropout_rate), last)
