"""Codebooks: the features of a place become one of K codes, and a code becomes a vector for the decoder.

Two are distributions over codes, sampled by the relaxation of `nn/gumbel.py`: `dense` logits, as in the dVAE's paper
(https://arxiv.org/abs/2102.12092), and `cosine` logits, which do not collapse in short runs (docs/explanation/dvae.md).
Two choose one code: the nearest vector (`nearest`, VQ-VAE, https://arxiv.org/abs/1711.00937) and rounding each of a few
numbers (`finite_scalar`, https://arxiv.org/abs/2309.15505).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, NotNegative, Positive, Share
from limner.nn.gathering import agreed, gathered
from limner.nn.gumbel import gumbel_softmax
from limner.nn.scale import clamped_scale, log_scale_of
from limner.types import Codes, Scalar

__all__ = [
    "CODEBOOKS",
    "Codebook",
    "CodebookConfig",
    "CosineCodebook",
    "CosineCodebookConfig",
    "DenseCodebook",
    "DenseCodebookConfig",
    "FiniteScalarCodebook",
    "FiniteScalarCodebookConfig",
    "NearestCodebook",
    "NearestCodebookConfig",
    "Quantized",
    "RelaxedCodebook",
    "build_codebook",
]

FeatureGrid = Float[Tensor, "batch feature_dim rows columns"]
VectorGrid = Float[Tensor, "batch code_dim rows columns"]
Logits = Float[Tensor, "batch rows columns num_codes"]
CodeList = Int[Tensor, " codes"]
PlaceList = Float[Tensor, "places feature_dim"]


@dataclass(frozen=True, kw_only=True)
class DenseCodebookConfig:
    """Logits by one linear map of the features."""

    kind: Literal["dense"] = "dense"


@dataclass(frozen=True, kw_only=True)
class CosineCodebookConfig:
    """Logits are cosines of codes with features of `feature_dim` numbers, times a learned scale.

    The scale starts at 1 / `temperature` and is clamped at `max_scale`.
    """

    kind: Literal["cosine"] = "cosine"
    feature_dim: Count = 8
    temperature: Positive = 0.1
    max_scale: Positive = 100.0


@dataclass(frozen=True, kw_only=True)
class NearestCodebookConfig:
    """Codes are moving averages of the features nearest to them; `revive_below` is the least mean use of a batch.

    A code that is used less takes the place of a feature of the batch; 0 leaves dead codes alone.
    """

    kind: Literal["nearest"] = "nearest"
    feature_dim: Count = 32
    decay: Share = 0.97
    revive_below: NotNegative = 0.05


@dataclass(frozen=True, kw_only=True)
class FiniteScalarCodebookConfig:
    """How many values each number may take; their product is the number of codes."""

    kind: Literal["finite_scalar"] = "finite_scalar"
    levels: tuple[Count, ...] = (8, 8, 8)


CodebookConfig = DenseCodebookConfig | CosineCodebookConfig | NearestCodebookConfig | FiniteScalarCodebookConfig


class Quantized(NamedTuple):
    """The vectors for the decoder, the likeliest codes, and the logits where codes are drawn from a distribution.

    `commitment` is what the encoder still has to pay for: the mean squared distance to the chosen vectors.
    """

    vectors: VectorGrid
    codes: Codes
    logits: Logits | None
    commitment: Scalar


class Codebook(nn.Module, ABC):
    """What all codebooks share; all of it in float32."""

    @abstractmethod
    def codes(self, features: FeatureGrid) -> Codes:
        """Return the likeliest or nearest code of every place, without noise."""

    @abstractmethod
    def vectors(self, codes: Codes) -> VectorGrid:
        """Return the vectors of codes."""

    @abstractmethod
    def forward(self, features: FeatureGrid, temperature: float, *, hard: bool = False) -> Quantized:
        """Return what training needs; distributions are sampled by Gumbel's relaxation, or `hard` by one code each."""


class RelaxedCodebook(Codebook):
    """What codebooks with logits share; a table turns (relaxed) one-hot codes into vectors."""

    table: nn.Parameter

    @abstractmethod
    def logits(self, features: FeatureGrid) -> Logits:
        """Return the unnormalised log-probabilities of the codes of every place."""

    @abstractmethod
    def aim(self, codes: CodeList, places: PlaceList, drawn: CodeList, donors: CodeList) -> None:
        """Make each code likely at the drawn one of all places, where so far its donor was the likeliest."""

    @torch.no_grad()
    def revive(self, dead: Bool[Tensor, " num_codes"], features: FeatureGrid) -> None:
        """Put dead codes where features of the batch are; to the decoder each says what was said there so far."""
        codes = dead.nonzero()[:, 0]
        if not len(codes):
            return
        with torch.autocast(features.device.type, enabled=False):
            features = gathered(features.float())
            places = rearrange(features, "b d r c -> (b r c) d")
            drawn = agreed(torch.randint(len(places), (len(codes),), device=places.device))
            donors = self.codes(features).flatten()[drawn]
            self.aim(codes, places, drawn, donors)
            self.table[codes] = self.table[donors]

    def codes(self, features: FeatureGrid) -> Codes:
        """Return the likeliest code of every place."""
        return self.logits(features).argmax(dim=-1)

    def vectors(self, codes: Codes) -> VectorGrid:
        """Return the vectors of codes."""
        return rearrange(self.table[codes], "b r c d -> b d r c")

    def forward(self, features: FeatureGrid, temperature: float, *, hard: bool = False) -> Quantized:
        """Return the mean vector of a relaxed sample of the codes, or the vector of a sampled code."""
        logits = self.logits(features)
        with torch.autocast(features.device.type, enabled=False):
            vectors = gumbel_softmax(logits, temperature, hard=hard) @ self.table
        nothing = logits.new_zeros(())
        return Quantized(rearrange(vectors, "b r c d -> b d r c"), logits.detach().argmax(dim=-1), logits, nothing)


class DenseCodebook(RelaxedCodebook):
    """Logits W f + b."""

    def __init__(self, config: DenseCodebookConfig, feature_dim: int, num_codes: int, code_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(feature_dim, num_codes)
        nn.init.normal_(self.head.weight, std=feature_dim**-0.5)
        nn.init.zeros_(self.head.bias)
        self.table = nn.Parameter(torch.randn(num_codes, code_dim) * num_codes**-0.5)

    def logits(self, features: FeatureGrid) -> Logits:
        """Return the unnormalised log-probabilities of the codes of every place."""
        with torch.autocast(features.device.type, enabled=False):
            return self.head(rearrange(features.float(), "b d r c -> b r c d"))

    @torch.no_grad()
    def aim(self, codes: CodeList, places: PlaceList, drawn: CodeList, donors: CodeList) -> None:
        """Take over the donor's logit, a little steeper along the feature."""
        self.head.weight[codes] = self.head.weight[donors] + 0.1 * functional.normalize(places[drawn], dim=1)
        self.head.bias[codes] = self.head.bias[donors]


class CosineCodebook(RelaxedCodebook):
    """Logits s <f / |f|, e_k / |e_k|> with a learned scale s; the codes of the decoder are a table of their own.

    Features are first normalised over the batch: what all of them have in common would otherwise point all of them at
    the same few codes.
    """

    def __init__(self, config: CosineCodebookConfig, feature_dim: int, num_codes: int, code_dim: int) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(feature_dim, config.feature_dim)
        self.spread = nn.BatchNorm1d(config.feature_dim, affine=False)
        self.directions = nn.Parameter(functional.normalize(torch.randn(num_codes, config.feature_dim), dim=-1))
        self.log_scale = log_scale_of(config.temperature)
        self.table = nn.Parameter(torch.randn(num_codes, code_dim))

    def logits(self, features: FeatureGrid) -> Logits:
        """Return the unnormalised log-probabilities of the codes of every place."""
        with torch.autocast(features.device.type, enabled=False):
            scale = clamped_scale(self.log_scale, self.config.max_scale)
            x = self._pointed(rearrange(features.float(), "b d r c -> b r c d"), self.spread)
            return x @ (scale * functional.normalize(self.directions, dim=-1)).T

    @torch.no_grad()
    def aim(self, codes: CodeList, places: PlaceList, drawn: CodeList, donors: CodeList) -> None:
        """Point the codes at the features."""
        self.directions[codes] = self._pointed(places, _normalised)[drawn]

    def _pointed(
        self, features: Float[Tensor, "*places feature_dim"], spread: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "*places _"]:
        """Return the unit vectors that are compared with the directions of codes."""
        x = self.project(features)
        return functional.normalize(spread(x.flatten(0, -2)).view_as(x), dim=-1)


def _normalised(x: Float[Tensor, "places dim"]) -> Float[Tensor, "places dim"]:
    """Return what the batch norm of training returns, without moving its running statistics."""
    return functional.batch_norm(x, None, None, training=True)


class NearestCodebook(Codebook):
    """The code nearest to a projection of the features; gradients pass it straight through.

    Codes are buffers that training moves: the moving average of what chose each (VQ-VAE, appendix A.1).
    """

    centres: Tensor
    uses: Tensor

    def __init__(self, config: NearestCodebookConfig, feature_dim: int, num_codes: int, code_dim: int) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(feature_dim, config.feature_dim)
        self.expand = nn.Linear(config.feature_dim, code_dim)
        self.register_buffer("centres", functional.normalize(torch.randn(num_codes, config.feature_dim), dim=-1))
        self.register_buffer("uses", torch.zeros(num_codes))

    def codes(self, features: FeatureGrid) -> Codes:
        """Return the nearest code of every place."""
        return self._nearest(self._projected(features))

    def vectors(self, codes: Codes) -> VectorGrid:
        """Return the vectors of codes."""
        return self._expanded(self.centres[codes])

    def forward(self, features: FeatureGrid, temperature: float, *, hard: bool = False) -> Quantized:
        """Return the vectors of the nearest codes; in training, move the codes after that."""
        x = self._projected(features)
        codes = self._nearest(x)
        if self.training:
            self._learn(gathered(x.detach().flatten(0, 2)), gathered(codes.flatten()))
        chosen = self.centres[codes]
        commitment = (x - chosen).square().mean()
        return Quantized(self._expanded(x + (chosen - x).detach()), codes, None, commitment)

    def _projected(self, features: FeatureGrid) -> Float[Tensor, "batch rows columns projected_dim"]:
        with torch.autocast(features.device.type, enabled=False):
            return self.project(rearrange(features.float(), "b d r c -> b r c d"))

    def _expanded(self, chosen: Float[Tensor, "batch rows columns projected_dim"]) -> VectorGrid:
        return rearrange(self.expand(chosen), "b r c d -> b d r c")

    def _nearest(self, x: Float[Tensor, "batch rows columns projected_dim"]) -> Codes:
        """Return argmin |x - e_k|^2 = argmax 2 <x, e_k> - |e_k|^2."""
        return (2 * x @ self.centres.T - self.centres.square().sum(dim=1)).argmax(dim=-1)

    @torch.no_grad()
    def _learn(self, x: Float[Tensor, "places projected_dim"], codes: Tensor) -> None:
        """Move the codes towards the features that chose them, and put dead ones where some feature is."""
        decay = self.config.decay
        counts = torch.bincount(codes, minlength=len(self.centres)).float()
        sums = torch.zeros_like(self.centres).index_add_(0, codes, x)
        self.uses.mul_(decay).add_(counts, alpha=1 - decay)
        # The step of each code is the weight of this batch among all that chose it of late.
        share = ((1 - decay) * counts / self.uses.clamp_min(1e-6)).clamp(max=1)[:, None]
        self.centres.lerp_(sums / counts.clamp_min(1)[:, None], share)
        dead = (self.uses < self.config.revive_below).nonzero()[:, 0]
        if len(dead):
            drawn = agreed(torch.randint(len(x), (len(dead),), device=x.device))
            self.centres[dead] = x[drawn]
            self.uses[dead] = max(self.config.revive_below, len(x) / len(self.centres))


class FiniteScalarCodebook(Codebook):
    """Each of a few numbers is bounded and rounded to one of its levels; a code counts through the levels.

    No code is learned, so none can die: what the paper calls an implicit codebook.
    """

    levels: Tensor
    places: Tensor

    def __init__(self, config: FiniteScalarCodebookConfig, feature_dim: int, num_codes: int, code_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(feature_dim, len(config.levels))
        self.expand = nn.Linear(len(config.levels), code_dim)
        levels = torch.tensor(config.levels)
        places = torch.tensor([math.prod(config.levels[:place]) for place in range(len(levels))])
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("places", places, persistent=False)

    def codes(self, features: FeatureGrid) -> Codes:
        """Return the code of every place's rounded numbers."""
        return self._code(self._bounded(features).round())

    def vectors(self, codes: Codes) -> VectorGrid:
        """Return the vectors of codes."""
        digits = codes[..., None] // self.places % self.levels
        return self._expanded(digits.float())

    def forward(self, features: FeatureGrid, temperature: float, *, hard: bool = False) -> Quantized:
        """Return the vectors of the rounded numbers."""
        x = self._bounded(features)
        rounded = x.round()
        return Quantized(self._expanded(x + (rounded - x).detach()), self._code(rounded), None, x.new_zeros(()))

    def _bounded(self, features: FeatureGrid) -> Float[Tensor, "batch rows columns numbers"]:
        """Return numbers whose rounding has `levels` values from 0 on."""
        with torch.autocast(features.device.type, enabled=False):
            x = self.project(rearrange(features.float(), "b d r c -> b r c d"))
            # A hair short of the outer halves, so that saturated numbers still round to a level.
            return (x.tanh() * 0.999 + 1) / 2 * self.levels - 0.5

    def _code(self, digits: Float[Tensor, "batch rows columns numbers"]) -> Codes:
        return (digits.long() * self.places).sum(dim=-1)

    def _expanded(self, digits: Float[Tensor, "batch rows columns numbers"]) -> VectorGrid:
        centred = 2 * digits / (self.levels - 1).clamp_min(1) - 1
        return rearrange(self.expand(centred), "b r c d -> b d r c")


CODEBOOKS: dict[str, Callable[[Any, int, int, int], Codebook]] = {
    "cosine": CosineCodebook,
    "dense": DenseCodebook,
    "finite_scalar": FiniteScalarCodebook,
    "nearest": NearestCodebook,
}


def build_codebook(config: CodebookConfig, *, feature_dim: int, num_codes: int, code_dim: int) -> Codebook:
    """Return the codebook of a config: from features of `feature_dim` numbers to vectors of `code_dim`."""
    return CODEBOOKS[config.kind](config, feature_dim, num_codes, code_dim)
