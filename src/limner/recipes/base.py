"""A run: everything that training needs to know, as one config that prints and reads back."""

from dataclasses import dataclass, field
from typing import Literal

from limner.data.loader import LoaderConfig
from limner.data.tokenizer import TokenizerConfig
from limner.models.clip import CLIPConfig
from limner.objectives.clip import CLIPObjectiveConfig
from limner.objectives.taught_clip import TaughtCLIPObjectiveConfig
from limner.training.loop import LoopConfig

__all__ = ["Run"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole training run; `image_start` names published weights that the image tower starts from."""

    model: CLIPConfig = field(default_factory=CLIPConfig)
    objective: CLIPObjectiveConfig | TaughtCLIPObjectiveConfig = field(default_factory=CLIPObjectiveConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    image_start: Literal["", "efficientnet-lite0"] = ""
