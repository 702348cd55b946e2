"""DALL-E's objective: say the text and then the codes of its picture, https://arxiv.org/abs/2102.12092, section 2.2."""

from dataclasses import dataclass
from typing import Literal

import torch

from limner.config import NotNegative, Share
from limner.losses.language import token_cross_entropy
from limner.models.dalle import DALLE
from limner.objectives.base import Objective, StepOutput
from limner.types import PADDING_TOKEN, CodesBatch, Embeddings

__all__ = ["DALLEObjective", "DALLEObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class DALLEObjectiveConfig:
    """How much a token of text and a code of the picture weigh, and how often a picture is said without its text.

    Those teach what guidance is measured against (https://arxiv.org/abs/2207.12598). Where a CLIP says what texts mean,
    `picture_rate` is how often it says instead what the picture shows (https://arxiv.org/abs/2203.00386), which tells
    more of it: so the model learns sooner to heed the CLIP.
    """

    kind: Literal["dalle"] = "dalle"
    text_weight: NotNegative = 1 / 8
    picture_weight: NotNegative = 7 / 8
    drop_rate: Share = 0.1
    picture_rate: Share = 0.5


class DALLEObjective(Objective):
    """Text weight times the mean over tokens, plus picture weight times the mean over codes, of -log p."""

    def __init__(self, model: DALLE, config: DALLEObjectiveConfig) -> None:
        super().__init__()
        self.model: DALLE = model
        self.config = config

    def forward(self, batch: CodesBatch, step: int) -> StepOutput:
        """Return the loss of a batch; in nats what a token and a code cost, and how often the likeliest code is right.

        Padding is not said, and neither is the text of a picture that stands alone.
        """
        tokens = self.model.padded(batch.tokens)
        dropped = torch.rand(len(tokens), 1, device=tokens.device) < self.config.drop_rate
        tokens = tokens.masked_fill(dropped, PADDING_TOKEN)
        features = self.model.features(tokens, batch.codes, self._embeddings(batch))
        said = tokens[:, 1:]
        # Most of what a short text leaves is padding, and logits over all tokens are the dearest there are.
        is_said = said != PADDING_TOKEN
        text = token_cross_entropy(self.model.text_logits(features.text[is_said]), said[is_said])
        codes = self.model.picture_logits(features.picture)
        picture = token_cross_entropy(codes, batch.codes)
        right = codes.argmax(dim=2) == batch.codes
        metrics = {"text_nats": text.detach(), "picture_nats": picture.detach(), "accuracy": right.float().mean()}
        return StepOutput(self.config.text_weight * text + self.config.picture_weight * picture, metrics)

    def _embeddings(self, batch: CodesBatch) -> Embeddings | None:
        """Return what the CLIP says of each picture or of its text, None if there is none or texts alone count."""
        if self.model.meaning is None or batch.embeddings is None:
            return None
        is_picture = torch.rand(len(batch.tokens), 1, device=batch.tokens.device) < self.config.picture_rate
        return torch.where(is_picture, batch.embeddings, self.model.meaning.embed(batch.tokens))
