"""The cross-encoder: a transformer reads query and document together, https://arxiv.org/abs/1901.04085 (monoBERT).

query    -> trunk -> parts \\
                            [score token, query, document] -> joint transformer -> score token -> linear -> gain
document -> trunk -> parts /
score = the dual encoder's score + gain

The trunks read each side alone, so the parts of a collection are computed ahead and only the joint layers run for each
pair (PreTTR, https://arxiv.org/abs/2004.14255). The trunks, projections and scale have CLIP's names: started from a
CLIP, the model scores as that CLIP does, and learns what reading the pair adds.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count, Finite, Positive
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, behind, carried, with_carried
from limner.nn.scale import clamped_scale, log_scale_of
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.transformer import Transformer, TransformerConfig
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Embeddings, Images, Scalar, Tokens

__all__ = ["CrossEncoder", "CrossEncoderConfig"]


@dataclass(frozen=True, kw_only=True)
class CrossEncoderConfig:
    """The trunks, the joint space and scale as in CLIP, and the transformer that reads the pair."""

    kind: Literal["cross"] = "cross"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    joint: TransformerConfig = field(default_factory=lambda: TransformerConfig(dim=192, depth=2, num_heads=3))
    embed_dim: Count = 256
    temperature: Positive = 0.07
    max_scale: Positive = 100.0
    bias: Finite = 0.0


class CrossEncoder(RelevanceModel):
    """Every part of the query sees every part of the document; what that says is added to the dual encoder's score."""

    reads_pairs = True

    def __init__(self, config: CrossEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.text = TextTransformer(config.text)
        dim = config.joint.dim
        self.image_projection = nn.Linear(self.vision.feature_dim, config.embed_dim, bias=False)
        self.text_projection = nn.Linear(self.text.feature_dim, config.embed_dim, bias=False)
        self.log_scale = log_scale_of(config.temperature)
        self.bias = nn.Parameter(torch.tensor(config.bias))
        self.from_vision = nn.Sequential(nn.Linear(self.vision.feature_dim, dim), nn.LayerNorm(dim))
        self.from_text = nn.Sequential(nn.Linear(self.text.feature_dim, dim), nn.LayerNorm(dim))
        self.score_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.query_side = nn.Parameter(torch.randn(dim) * 0.02)
        self.document_side = nn.Parameter(torch.randn(dim) * 0.02)
        self.joint = Transformer(config.joint)
        self.head = nn.Linear(dim, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)

    def scale(self) -> Scalar:
        """Return the factor from cosines to scores, exp of a learned number, never above `max_scale`."""
        return clamped_scale(self.log_scale, self.config.max_scale)

    def picture_parts(self, images: Images) -> Parts:
        """Return the embedding, then a part for each place of the grid."""
        features, sequence = self.vision.encode(images)
        return with_carried(_unit(self.image_projection(features)), self.from_vision(sequence))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return the embedding, then a part for each token."""
        sequence = self.text.sequence(tokens)
        embeddings = _unit(self.text_projection(self.text.pool(sequence)))
        return with_carried(embeddings, self.from_text(sequence.vectors), sequence.mask)

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of document i for query i."""
        embed_dim = self.config.embed_dim
        cosines = (carried(queries, embed_dim) * carried(documents, embed_dim)).sum(dim=1)
        token = self.score_token.expand(len(queries), -1, -1)
        asked, offered = behind(queries, embed_dim), behind(documents, embed_dim)
        both = [token, asked.vectors + self.query_side, offered.vectors + self.document_side]
        seen = [queries.mask.new_ones(len(queries), 1), asked.mask, offered.mask]
        read = self.joint(torch.cat(both, dim=1), torch.cat(seen, dim=1))
        return cosines * self.scale() + self.bias + self.head(read[:, 0])[:, 0].float()


def _unit(embeddings: Embeddings) -> Embeddings:
    return functional.normalize(embeddings.float(), dim=-1)
