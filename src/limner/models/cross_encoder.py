"""The cross-encoder: a transformer reads query and document together, https://arxiv.org/abs/1901.04085 (monoBERT).

query    -> trunk -> parts \\
                            [score token, query, document] -> joint transformer -> score token -> linear -> score
document -> trunk -> parts /

The trunks read each side alone, so the parts of a collection are computed ahead and only the joint layers run for each
pair (PreTTR, https://arxiv.org/abs/2004.14255).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, every_pair, whole
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.transformer import Transformer, TransformerConfig
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Distances, Images, Scores, Tokens

__all__ = ["CrossEncoder", "CrossEncoderConfig"]


@dataclass(frozen=True, kw_only=True)
class CrossEncoderConfig:
    """The trunks of both sides, and the transformer that reads the pair."""

    kind: Literal["cross"] = "cross"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    joint: TransformerConfig = field(default_factory=lambda: TransformerConfig(dim=192, depth=2, num_heads=3))


class CrossEncoder(RelevanceModel):
    """Every part of the query sees every part of the document; the score is the log-odds that the pair belongs."""

    reads_pairs = True

    def __init__(self, config: CrossEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.text = TextTransformer(config.text)
        dim = config.joint.dim
        self.from_vision = nn.Sequential(nn.Linear(self.vision.feature_dim, dim), nn.LayerNorm(dim))
        self.from_text = nn.Sequential(nn.Linear(self.text.feature_dim, dim), nn.LayerNorm(dim))
        self.score_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.query_side = nn.Parameter(torch.randn(dim) * 0.02)
        self.document_side = nn.Parameter(torch.randn(dim) * 0.02)
        self.joint = Transformer(config.joint)
        self.head = nn.Linear(dim, 1)

    def picture_parts(self, images: Images) -> Parts:
        """Return a part for each place of the grid."""
        return whole(self.from_vision(self.vision.sequence(images)))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return a part for each token."""
        sequence = self.text.sequence(tokens)
        return Parts(vectors=self.from_text(sequence.vectors), mask=sequence.mask)

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of document i for query i."""
        token = self.score_token.expand(len(queries), -1, -1)
        x = torch.cat([token, queries.vectors + self.query_side, documents.vectors + self.document_side], dim=1)
        mask = torch.cat([queries.mask.new_ones(len(queries), 1), queries.mask, documents.mask], dim=1)
        return self.head(self.joint(x, mask)[:, 0])[:, 0].float()

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return the score of every document for every query, each pair read."""
        return self.pair_scores(*every_pair(queries, documents)).view(len(queries), len(documents))

    def distances(self, scores: Scores) -> Distances:
        """Return the probability that a pair does not belong together, sigma(-s)."""
        return (-scores).sigmoid()
