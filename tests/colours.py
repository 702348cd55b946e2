"""An embedder that sees nothing but colour, so that what it finds can be worked out by hand; and a tiny real model."""

import colorsys
from pathlib import Path

import numpy as np
import torch

from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.models.checkpoints import MODELS, load_model, save_model
from limner.models.stir import STIRConfig, build_stir
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.search.embedder import Embedder
from tests.shapes import COLOURS

_NAMES = {**{name: name for name in COLOURS}, **{russian: name for name, russian in COLOURS.items()}}


class ColourEmbedder(Embedder):
    """One axis a colour; a text points along the colours it names, a picture along the colour it is painted in."""

    def __init__(self) -> None:
        self.name = "colours"
        self.fingerprint = "colours"
        self.embed_dim = len(COLOURS) + 1

    reads_texts = True

    @property
    def image_size(self) -> int:
        return 48

    @property
    def scale(self) -> float:
        return 10.0

    def embed_texts(self, texts):
        vectors = np.zeros((len(texts), self.embed_dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                if word in _NAMES:
                    vectors[row, list(COLOURS).index(_NAMES[word])] = 1
        return _unit(vectors)

    def embed_pictures(self, pictures):
        vectors = np.zeros((len(pictures), self.embed_dim), dtype=np.float32)
        for row, picture in enumerate(pictures):
            red, green, blue = (
                channel / 255 for channel in picture.resize((3, 3), box=(21, 21, 27, 27)).getpixel((1, 1))
            )
            hue, _, value = colorsys.rgb_to_hsv(red, green, blue)
            vectors[row, 3 if value < 0.2 else round(hue * 3) % 3] = 1
        return _unit(vectors)


def write_tiny_model(folder: Path) -> Path:
    """A CLIP of a few thousand random weights."""
    return write_tiny_ranker(folder, "clip", embed_dim=8)


def write_tiny_ranker(folder: Path, kind: str, *, seed: int = 0, **sizes: object) -> Path:
    """A relevance model of a kind, of a few thousand random weights, for the same tokens as the CLIP."""
    torch.manual_seed(seed)
    trunk = TransformerConfig(dim=16, depth=1, num_heads=2)
    tokenizer = Tokenizer.train(["a red circle", "a blue square"] * 3, TokenizerConfig(vocab_size=300))
    module, config = MODELS[kind]
    vision = VisionTransformerConfig(image_size=16, patch_size=8, transformer=trunk)
    text = TextConfig(length=12, vocab_size=tokenizer.vocab_size, transformer=trunk)
    save_model(folder, module(config(vision=vision, text=text, **sizes)))
    tokenizer.save(folder)
    return folder


def write_tiny_stir(
    folder: Path, extractor: Path, *, seed: int = 0, head_spread: float = 1e-2, **sizes: object
) -> Path:
    """A STIR that starts from the image tower of a tiny CLIP; with a `head_spread` of 0 only the cosine counts."""
    torch.manual_seed(seed)
    clip = load_model(extractor)
    stir = build_stir(STIRConfig(vision=clip.config.vision, embed_dim=clip.config.embed_dim, num_separate=1, **sizes))
    own = stir.state_dict()
    stir.load_state_dict(own | {name: tensor for name, tensor in clip.state_dict().items() if name in own})
    torch.nn.init.normal_(stir.head[-1].weight, std=head_spread)
    save_model(folder, stir)
    return folder


def _unit(vectors):
    vectors[~vectors.any(axis=1), -1] = 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
