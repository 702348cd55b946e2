"""A model ready for use: words and pictures become unit vectors of one space."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import nn

from limner.data.pixels import stack_images
from limner.data.tokenizer import Tokenizer
from limner.errors import ModelError, UsageError
from limner.models.checkpoints import load_model, resolve
from limner.models.clip import CLIP
from limner.models.dvae import DVAE
from limner.models.extractor import Extractor
from limner.models.relevance import RelevanceModel, reads_texts
from limner.types import Embeddings

__all__ = ["Embedder", "Vectors", "fingerprint_of", "load_embedder", "load_with_tokenizer", "tokenizer_of"]

Vectors = Float32[np.ndarray, "rows embed_dim"]

_BATCH_SIZE = 64


class Embedder:
    """A CLIP with its tokenizer, or an extractor of pictures alone; `fingerprint` names exactly these weights."""

    def __init__(
        self, model: CLIP | Extractor, tokenizer: Tokenizer | None, *, name: str, fingerprint: str = ""
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.embed_dim: int = model.config.embed_dim

    @property
    def scale(self) -> float:
        """The learned factor from cosines to scores."""
        return float(self.model.scale().detach())

    @property
    def reads_texts(self) -> bool:
        """Whether words can be embedded, and not pictures only."""
        return isinstance(self.model, CLIP)

    @property
    def image_size(self) -> int:
        """The side of the square, in pixels, that pictures are fitted into."""
        return int(self.model.config.vision.image_size)

    def scores_of_cosines(self, cosines: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
        """Return the model's scores of pairs with these cosines: times the learned scale, plus the learned bias."""
        return self.scale * cosines + float(self.model.bias.detach())

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text; texts longer than the model reads are cut.

        Raises:
            UsageError: if the model embeds pictures only.
        """
        parts = [self._encode(texts[start : start + _BATCH_SIZE]) for start in range(0, len(texts), _BATCH_SIZE)]
        return _numpy(parts, self.embed_dim)

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Return one unit vector a picture, the whole picture padded to a square on white."""
        size = self.model.config.vision.image_size
        parts = [
            self.model.encode_images(stack_images(pictures[start : start + _BATCH_SIZE], size))
            for start in range(0, len(pictures), _BATCH_SIZE)
        ]
        return _numpy(parts, self.embed_dim)

    def _encode(self, texts: Sequence[str]) -> Embeddings:
        if not isinstance(self.model, CLIP) or self.tokenizer is None:
            raise UsageError(f"{self.name} embeds pictures and reads no words; ask with a picture, or take a CLIP")
        return self.model.encode_texts(self.tokenizer.encode(texts, self.model.config.text.length)[0])


def load_embedder(model: str | Path) -> Embedder:
    """Return the embedder of a shipped model's name, a model folder or a run folder.

    Raises:
        ModelError: if there is no such model, it is damaged, or it does not embed words and pictures.
    """
    clip, tokenizer, fingerprint = load_with_tokenizer(model)
    if not isinstance(clip, RelevanceModel):
        raise ModelError(f"{model} is a {type(clip).__name__}, which does not embed words and pictures; give a CLIP")
    if not isinstance(clip, CLIP | Extractor):
        raise ModelError(
            f"{model} is a {type(clip).__name__}, which does not embed but re-ranks; "
            "give a CLIP, and this one to `limner index --reranker`"
        )
    return Embedder(clip, tokenizer, name=str(model), fingerprint=fingerprint)


def load_with_tokenizer(model: str | Path) -> tuple[nn.Module, Tokenizer | None, str]:
    """Return a model, its tokenizer if it reads texts, and a digest of its files that names exactly these weights.

    Raises:
        ModelError: if there is no such model, or it is damaged.
    """
    folder = resolve(model)
    module: Any = load_model(folder)
    if isinstance(module, DVAE):
        raise ModelError(f"{model} is a DVAE, which reads no words; give a model of pictures and words")
    tokenizer = tokenizer_of(module, folder)
    return module, tokenizer, fingerprint_of(folder, tokenizer)


def tokenizer_of(model: Any, folder: Path) -> Tokenizer | None:
    """Return the tokenizer of a model that was read from a folder, None if it reads no texts.

    Raises:
        ModelError: if it is missing, damaged or does not fit.
    """
    return Tokenizer.load(folder, vocab_size=model.config.text.vocab_size) if reads_texts(model) else None


def fingerprint_of(folder: Path, tokenizer: Tokenizer | None) -> str:
    """Return a digest of the files of a model, with its tokenizer if it has one, that names exactly these weights."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", *(["tokenizer.json"] if tokenizer else [])):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _numpy(parts: Sequence[torch.Tensor], embed_dim: int) -> Vectors:
    return torch.cat(list(parts)).numpy() if parts else np.zeros((0, embed_dim), dtype=np.float32)
