"""The sizes of STIR, whatever its form."""

from dataclasses import dataclass, field
from typing import Literal

from limner.config import Count, Finite, Positive, Share, Whole
from limner.nn.transformer import TransformerConfig
from limner.nn.trunks import VisionConfig
from limner.nn.vision import VisionTransformerConfig

__all__ = ["STIRConfig"]


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
