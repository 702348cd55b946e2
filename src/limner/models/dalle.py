"""DALL-E: one transformer over the tokens of a text and then the codes of its picture, https://arxiv.org/abs/2102.12092.

tokens [n, length] -> token table + text positions  \\
                                                     causal transformer -> logits of the next token | of the next code
codes  [n, places] -> code table + rows + columns   /

The joint distribution p(y, z) of texts y and codes z is a product over positions, text first. Texts that are shorter
than the model reads end in padding that is learned for each position. Logits of tokens and of codes come from heads of
their own: no probability is lost to what cannot stand there.

What the text means to a CLIP may be added to its last position and to every code, which words do not see: a picture is
decided by all of a text, and few pictures do not teach what a CLIP knows.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limner.config import Count
from limner.nn.attention_masks import AttentionKind, attention_mask
from limner.nn.key_value_cache import KeyValueCache
from limner.nn.meaning import Meaning, MeaningConfig
from limner.nn.transformer import Transformer, TransformerConfig
from limner.types import PADDING_TOKEN, Embeddings, Tokens

__all__ = ["DALLE", "DALLEConfig", "DALLEFeatures", "DALLELogits", "WordsConfig"]

_DEVIATION = 0.02


@dataclass(frozen=True, kw_only=True)
class WordsConfig:
    """The tokens of a text; their table is `token_dim` wide, widened by a linear map, and also says the next token."""

    vocab_size: Count = 8192
    length: Annotated[int, Field(ge=2, le=1024)] = 24
    token_dim: Count = 64


@dataclass(frozen=True, kw_only=True)
class DALLEConfig:
    """Sizes; pictures are squares of `grid_size` codes, each one of `num_codes`.

    `attention` is repeated over the blocks and `last_attention` is that of the last one, as in the paper's section 2.2;
    `kernel_size` is the side of the window of its convolutions. `meaning` has the sizes of the CLIP that reads the text
    too; the paper has none.
    """

    kind: Literal["dalle"] = "dalle"
    text: WordsConfig = field(default_factory=WordsConfig)
    meaning: MeaningConfig | None = None
    num_codes: Count = 512
    grid_size: Annotated[int, Field(ge=1, le=64)] = 16
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    attention: tuple[AttentionKind, ...] = ("row", "column", "row", "row")
    last_attention: AttentionKind = "convolution"
    kernel_size: Count = 11

    def __post_init__(self) -> None:
        """Check that there is a kind of attention to repeat."""
        if not self.attention:
            raise ValueError("attention is empty: name at least one of full, row, column, convolution")


class DALLEFeatures(NamedTuple):
    """What `DALLELogits` are read off, at the same places."""

    text: Float[Tensor, "batch said dim"]
    picture: Float[Tensor, "batch places dim"]


class DALLELogits(NamedTuple):
    """What follows at each place: text position i + 1 after those up to i, code k after the text and the codes before.

    The text's first token is given and not said.
    """

    text: Float[Tensor, "batch said vocab_size"]
    picture: Float[Tensor, "batch places num_codes"]


class DALLE(nn.Module):
    """A decoder over texts and pictures, read at once or, with a cache, piece by piece."""

    def __init__(self, config: DALLEConfig) -> None:
        super().__init__()
        self.config = config
        dim, text = config.transformer.dim, config.text
        self.num_places = config.grid_size**2
        self.tokens = nn.Embedding(text.vocab_size, text.token_dim)
        self.widen = nn.Linear(text.token_dim, dim, bias=False)
        self.narrow = nn.Linear(dim, text.token_dim)
        self.text_bias = nn.Parameter(torch.zeros(text.vocab_size))
        self.positions = nn.Parameter(torch.randn(text.length, dim) * _DEVIATION)
        self.padding = nn.Parameter(torch.randn(text.length, dim) * _DEVIATION)
        self.meaning = None if config.meaning is None else Meaning(config.meaning, dim)
        self.codes = nn.Embedding(config.num_codes, dim)
        self.rows = nn.Parameter(torch.randn(config.grid_size, 1, dim) * _DEVIATION)
        self.columns = nn.Parameter(torch.randn(1, config.grid_size, dim) * _DEVIATION)
        self.transformer = Transformer(config.transformer)
        self.code_head = nn.Linear(dim, config.num_codes)
        repeated = [config.attention[block % len(config.attention)] for block in range(config.transformer.depth - 1)]
        self.attention: list[AttentionKind] = [*repeated, config.last_attention]
        for kind in sorted(set(self.attention)):
            mask = attention_mask(
                kind, text_length=text.length, grid_size=config.grid_size, kernel_size=config.kernel_size
            )
            self.register_buffer(f"{kind}_mask", mask, persistent=False)
        nn.init.normal_(self.tokens.weight, std=1.0)
        nn.init.normal_(self.widen.weight, std=_DEVIATION / text.token_dim**0.5)
        nn.init.normal_(self.narrow.weight, std=_DEVIATION / text.token_dim**0.5)
        nn.init.zeros_(self.narrow.bias)
        nn.init.normal_(self.codes.weight, std=_DEVIATION)
        nn.init.normal_(self.code_head.weight, std=_DEVIATION)
        nn.init.zeros_(self.code_head.bias)

    def forward(self, tokens: Tokens, codes: Int[Tensor, "batch places"]) -> DALLELogits:
        """Return the logits of every token and code, each given what stands before it; shorter texts are padded."""
        features = self.features(tokens, codes)
        return DALLELogits(self.text_logits(features.text), self.picture_logits(features.picture))

    def features(
        self, tokens: Tokens, codes: Int[Tensor, "batch places"], embeddings: Embeddings | None = None
    ) -> DALLEFeatures:
        """Return what says every token and code, for those who need the logits of some alone.

        `embeddings` of the CLIP may stand in for what the texts mean to it.
        """
        tokens = self.padded(tokens)
        condition = self._condition(tokens, embeddings)
        # The last code is said but not read.
        x = torch.cat([self._read_tokens(tokens, 0, condition), self._read_codes(codes[:, :-1], 0, condition)], dim=1)
        features = self.transformer(x, self._masks(0, x.shape[1]))
        said = self.config.text.length - 1
        return DALLEFeatures(features[:, :said], features[:, said:])

    def cache(self, batch_size: int) -> KeyValueCache:
        """Return room for what `read` reads of `batch_size` sequences."""
        sizes = self.config.transformer
        return KeyValueCache.empty(
            depth=sizes.depth,
            batch_size=batch_size,
            num_heads=sizes.num_heads,
            capacity=self.config.text.length + self.num_places,
            head_dim=sizes.dim // sizes.num_heads,
            like=self.positions.detach(),
        )

    def read(
        self,
        cache: KeyValueCache,
        *,
        tokens: Int[Tensor, "batch few"] | None = None,
        codes: Int[Tensor, "batch few"] | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """Read the next tokens, or the next codes, behind what is in a cache; return the features of the last.

        `text_logits` or `picture_logits` of these say what follows. A model with a meaning reads a text's last token
        together with all before it.
        """
        start = cache.num_read
        if tokens is not None:
            if start + tokens.shape[1] == self.config.text.length:
                cache.condition = self._condition(tokens)
            x = self._read_tokens(tokens, start, cache.condition)
        else:
            assert codes is not None and start >= self.config.text.length, "codes come after the whole text"
            x = self._read_codes(codes, start - self.config.text.length, cache.condition)
        return self.transformer(x, self._masks(start, start + x.shape[1]), cache)[:, -1]

    def text_logits(self, features: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places vocab_size"]:
        """Return the logits of the token that follows."""
        return (self.narrow(features) @ self.tokens.weight.T + self.text_bias).float()

    def picture_logits(self, features: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places num_codes"]:
        """Return the logits of the code that follows."""
        return self.code_head(features).float()

    def padded(self, tokens: Tokens) -> Int[Tensor, "batch text_length"]:
        """Return texts as long as the model reads, with padding behind them."""
        return functional.pad(tokens, (0, self.config.text.length - tokens.shape[1]), value=PADDING_TOKEN)

    def no_text(self, batch_size: int) -> Int[Tensor, "batch text_length"]:
        """Return what stands for no text at all: padding throughout."""
        shape = (batch_size, self.config.text.length)
        return torch.full(shape, PADDING_TOKEN, dtype=torch.long, device=self.positions.device)

    def _condition(self, texts: Tokens, embeddings: Embeddings | None = None) -> Float[Tensor, "batch dim"] | None:
        """Return what each text, or what stands in for it, adds to the codes; where there is no text, nothing."""
        if self.meaning is None:
            return None
        assert texts.shape[1] == self.config.text.length, "what a text means is read off the whole of it"
        is_text = (texts != PADDING_TOKEN).any(dim=1, keepdim=True)
        embeddings = self.meaning.embed(texts) if embeddings is None else embeddings
        return self.meaning(embeddings) * is_text

    def _read_tokens(
        self, tokens: Int[Tensor, "batch few"], start: int, condition: Float[Tensor, "batch dim"] | None
    ) -> Float[Tensor, "batch few dim"]:
        places = slice(start, start + tokens.shape[1])
        words = self.widen(self.tokens(tokens)) + self.positions[places]
        x = torch.where((tokens == PADDING_TOKEN).unsqueeze(-1), self.padding[places].to(words.dtype), words)
        if condition is None or places.stop < self.config.text.length:
            return x
        return torch.cat([x[:, :-1], (x[:, -1] + condition.to(x.dtype)).unsqueeze(1)], dim=1)

    def _read_codes(
        self, codes: Int[Tensor, "batch few"], start: int, condition: Float[Tensor, "batch dim"] | None
    ) -> Float[Tensor, "batch few dim"]:
        places = (self.rows + self.columns).flatten(0, 1)
        x = self.codes(codes) + places[start : start + codes.shape[1]]
        return x if condition is None else x + condition.unsqueeze(1)

    def _masks(self, start: int, stop: int) -> list[Bool[Tensor, "1 few read"]]:
        """Return what the positions from `start` to `stop` see of all up to `stop`, for each block."""
        return [self.get_buffer(f"{kind}_mask")[None, start:stop, :stop] for kind in self.attention]
