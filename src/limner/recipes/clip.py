"""CLIP on a laptop: both recipes train from nothing."""

from dataclasses import replace

from limner.data.augmentation import UNCHANGED
from limner.data.loader import LoaderConfig
from limner.models.clip import CLIPConfig
from limner.nn.inverted_residual import SMALL_STAGES, InvertedResidualConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.recipes.base import Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["clip", "clip_vit"]

_TEXT = TextConfig(token_dim=96, transformer=TransformerConfig(dim=192, depth=2, num_heads=3))


def clip() -> Run:
    """Return a convolutional image tower and a small text tower: the quickest to learn a few thousand pictures.

    Small pictures, moved a little and not recoloured, and a short average: a few hundred steps already tell.
    """
    vision = InvertedResidualConfig(
        image_size=48, stages=SMALL_STAGES, head_dim=384, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    augmentation = replace(UNCHANGED, zoom=(0.9, 1.1), stretch=0.05, shift=0.05, flip_rate=0.3)
    return Run(
        model=CLIPConfig(vision=vision, text=_TEXT, embed_dim=192),
        loader=LoaderConfig(batch_size=192, augmentation=augmentation),
        loop=LoopConfig(
            num_steps=2000,
            warmup_steps=100,
            averaging_decay=0.95,
            optimizer=OptimizerConfig(learning_rate=2e-3, muon={"vision": 4.0, "text.transformer": 4.0}),
        ),
    )


def clip_vit() -> Run:
    """Return the vision transformer in place of the convolutions, with half of the patches dropped in training."""
    vision = VisionTransformerConfig(
        image_size=64,
        patch_size=8,
        transformer=TransformerConfig(dim=192, depth=6, num_heads=3),
        patch_dropout_rate=0.5,
    )
    return Run(
        model=CLIPConfig(vision=vision, text=_TEXT, embed_dim=192),
        loader=LoaderConfig(batch_size=192),
        loop=LoopConfig(num_steps=3000, warmup_steps=200, optimizer=OptimizerConfig(learning_rate=1e-3)),
    )
