"""The dVAE: pictures as grids of discrete codes, and back, https://arxiv.org/abs/2102.12092, section 2.1.

images [n, 3, h, w] -> encoder -> codebook -> codes [n, rows, columns] -> decoder -> mean and scale of every pixel

In training the codebook draws from its relaxation, through which gradients flow; outside of it a place has its
likeliest code, without noise.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from limner.config import Count, Finite, ImageSize
from limner.nn.bottleneck import BottleneckConfig, BottleneckDecoder, BottleneckEncoder
from limner.nn.codebooks import (
    CodebookConfig,
    CosineCodebookConfig,
    FiniteScalarCodebookConfig,
    Quantized,
    build_codebook,
)
from limner.nn.hybrid import HybridConfig, HybridDecoder, HybridEncoder
from limner.nn.pixels import from_interval, into_interval
from limner.types import Codes, Images, Scalar

__all__ = ["DVAE", "DVAEConfig", "DVAEOutput", "NetworkConfig"]

NetworkConfig = HybridConfig | BottleneckConfig

_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class DVAEConfig:
    """The picture's side in pixels, how many codes there are, both networks and the codebook.

    `least_log_scale` bounds the sharpness that the decoder may claim: flat white has no density otherwise.
    """

    kind: Literal["dvae"] = "dvae"
    image_size: ImageSize = 64
    num_codes: Count = 512
    network: NetworkConfig = field(default_factory=HybridConfig)
    codebook: CodebookConfig = field(default_factory=CosineCodebookConfig)
    least_log_scale: Finite = -4.0

    def __post_init__(self) -> None:
        """Check that the code grid tiles the picture, and that the levels make up the codes."""
        if self.image_size % self.network.factor:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of {self.network.factor}, the pixels of a code's side"
            )
        if isinstance(self.codebook, FiniteScalarCodebookConfig) and prod(self.codebook.levels) != self.num_codes:
            raise ValueError(
                f"codebook.levels {self.codebook.levels} make {prod(self.codebook.levels)} codes, not {self.num_codes}"
            )

    @property
    def grid_size(self) -> int:
        """The side of the code grid."""
        return self.image_size // self.network.factor


class DVAEOutput(NamedTuple):
    """What an objective needs: the codebook's answer, and mean and log-scale of the logit of every mapped pixel."""

    quantized: Quantized
    mean: Images
    log_scale: Images

    @property
    def logits(self) -> Float[Tensor, "batch rows columns num_codes"] | None:
        """The logits of the codes, None where the codebook has no distribution."""
        return self.quantized.logits

    @property
    def codes(self) -> Codes:
        """The likeliest codes."""
        return self.quantized.codes

    @property
    def commitment(self) -> Scalar:
        """The mean squared distance of features to the vectors chosen for them, 0 where there is none."""
        return self.quantized.commitment

    def pictures(self, *, clamped: bool = True) -> Images:
        """Return the pictures in the middle of what the decoder expects, in [0, 1] if clamped."""
        return from_interval(self.mean.sigmoid(), clamped=clamped)


class DVAE(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, config: DVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = _networks(config)
        self.codebook = build_codebook(
            config.codebook,
            feature_dim=self.encoder.feature_dim,
            num_codes=config.num_codes,
            code_dim=config.network.code_dim,
        )

    def features(self, images: Images) -> Float[Tensor, "batch feature_dim rows columns"]:
        """Return what the encoder says of every place of the code grid; images are RGB in [0, 1]."""
        return self.encoder(into_interval(images))

    def codes(self, images: Images) -> Codes:
        """Return the likeliest code of every place."""
        return self.codebook.codes(self.features(images))

    def decode(self, codes: Codes) -> Images:
        """Return the pictures of grids of codes, in [0, 1]."""
        return self.decoded(codes).pictures()

    def reconstruct(self, images: Images) -> Images:
        """Return what is left of pictures after they went through their codes, in [0, 1]."""
        return self.decode(self.codes(images))

    def forward(self, images: Images, temperature: float = 1.0, *, hard: bool = False) -> DVAEOutput:
        """Return the output for training; `hard` draws one code a place instead of a mixture of codes."""
        return self.output(self.features(images), temperature, hard=hard)

    def output(
        self, features: Float[Tensor, "batch feature_dim rows columns"], temperature: float, *, hard: bool = False
    ) -> DVAEOutput:
        """Return the same from what the encoder said."""
        quantized = self.codebook(features, temperature, hard=hard)
        return DVAEOutput(quantized, *self._pixels(quantized.vectors))

    def decoded(self, codes: Codes) -> DVAEOutput:
        """Return the output of codes that are given, which have no distribution."""
        vectors = self.codebook.vectors(codes)
        return DVAEOutput(Quantized(vectors, codes, None, vectors.new_zeros(())), *self._pixels(vectors))

    def _pixels(self, vectors: Float[Tensor, "batch code_dim rows columns"]) -> tuple[Images, Images]:
        mean, log_scale = self.decoder(vectors).float().chunk(2, dim=1)
        return mean, log_scale.clamp(min=self.config.least_log_scale)


def _networks(config: DVAEConfig) -> tuple[Any, Any]:
    network, channels = config.network, 2 * _CHANNELS
    if isinstance(network, BottleneckConfig):
        return BottleneckEncoder(network), BottleneckDecoder(network, channels)
    return HybridEncoder(network, config.grid_size), HybridDecoder(network, config.grid_size, channels)
