"""A language model that says whether a document answers a query, https://arxiv.org/abs/2003.06713 (monoT5).

[document:] parts of the document [query:] parts of the query [relevant:] -> causal transformer -> next word
score = log P(true) - log P(false)

A picture is read as words: the features of each place of its grid, mapped into the space of token vectors
(https://arxiv.org/abs/2304.08485). The transformer is CLIP's text trunk made causal; words are read and said by one
table, as in https://arxiv.org/abs/1608.05859. The document comes first, so that what is read of it does not depend on
the query.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limner.config import Whole
from limner.models.relevance import RelevanceModel
from limner.nn.parts import Parts, whole
from limner.nn.text import TextConfig, TextTransformer
from limner.nn.trunks import VisionConfig, build_vision
from limner.nn.vision import VisionTransformerConfig
from limner.types import Images, Tokens

__all__ = ["LanguageRelevance", "LanguageRelevanceConfig"]


@dataclass(frozen=True, kw_only=True)
class LanguageRelevanceConfig:
    """The trunks, and the tokens of the words that say yes and no."""

    kind: Literal["language"] = "language"
    vision: VisionConfig = field(default_factory=VisionTransformerConfig)
    text: TextConfig = field(default_factory=TextConfig)
    true_token: Whole = 3
    false_token: Whole = 4


class LanguageRelevance(RelevanceModel):
    """The log-odds of the word "true" after a document and a query; the three prompts are learned vectors."""

    reads_pairs = True

    def __init__(self, config: LanguageRelevanceConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        self.text = TextTransformer(config.text)
        self.picture_words = nn.Linear(self.vision.feature_dim, self.text.feature_dim)
        self.prompts = nn.Parameter(torch.randn(3, 1, self.text.feature_dim) * 0.5)

    def picture_parts(self, images: Images) -> Parts:
        """Return a word-like vector for each place of the grid."""
        return whole(self.picture_words(self.vision.sequence(images)))

    def text_parts(self, tokens: Tokens) -> Parts:
        """Return the vector of each token at its position."""
        return self.text.embed(tokens)

    def word_logits(self, queries: Parts, documents: Parts) -> Float[Tensor, "pairs vocab"]:
        """Return the logits of the next word after document i and query i, over the whole vocabulary."""
        answers = self._answers(queries, documents)
        return (answers @ self.text.tokens.weight.T).float()

    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return log P(true) - log P(false) after document i and query i."""
        words = self.text.tokens.weight
        difference = words[self.config.true_token] - words[self.config.false_token]
        return (self._answers(queries, documents) @ difference).float()

    def text_likelihoods(self, tokens: Tokens, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the mean log-probability of the words of text i after document i, each given those before it."""
        said = self.text.embed(tokens)
        x = self._read(documents, said)
        # Where the prompt for the query stands, the first word is said; where a word stands, the one after it.
        first = 1 + documents.mask.shape[1]
        logits = self._words(x[:, first : first + said.mask.shape[1]]) @ self.text.tokens.weight.T
        words = tokens[:, : said.mask.shape[1]]
        found = logits.float().log_softmax(dim=-1).gather(2, words[:, :, None])[:, :, 0]
        return (found * said.mask).sum(dim=1) / said.mask.sum(dim=1).clamp(min=1)

    def _answers(self, queries: Parts, documents: Parts) -> Float[Tensor, "pairs token_dim"]:
        """Return what stands after the last prompt, as wide as the token table."""
        return self._words(self._read(documents, queries)[:, -1])

    def _read(self, documents: Parts, queries: Parts) -> Float[Tensor, "pairs length dim"]:
        """Return the features of each position of a document, a query and their prompts, blind for what follows it."""
        document, query, relevant = self.prompts[:, None].expand(-1, len(queries), -1, -1)
        x = torch.cat([document, documents.vectors, query, queries.vectors, relevant], dim=1)
        always = queries.mask.new_ones(len(queries), 1)
        is_part = torch.cat([always, documents.mask, always, queries.mask, always], dim=1)
        before = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        return self.text.transformer(x, before & is_part[:, None, :])

    def _words(self, features: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places token_dim"]:
        """Return features in the space of the token table, the way words are widened, back."""
        return features @ self.text.widen.weight / math.sqrt(self.config.text.token_dim)
