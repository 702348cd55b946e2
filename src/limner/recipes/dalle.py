"""DALL-E on a laptop.

limner train dalle --data SET --out run --set drawing.dvae=DVAE
"""

from dataclasses import replace

from limner.data.augmentation import UNCHANGED
from limner.data.captions import CaptionChoice
from limner.data.loader import LoaderConfig
from limner.data.tokenizer import TokenizerConfig
from limner.models.dalle import DALLEConfig, WordsConfig
from limner.nn.transformer import TransformerConfig
from limner.objectives.dalle import DALLEObjectiveConfig
from limner.recipes.base import DrawingConfig, Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["dalle", "dalle_fashion_mnist"]

_OPTIMIZER = OptimizerConfig(
    learning_rate=1.5e-3, weight_decay=0.05, betas=(0.9, 0.96), epsilon=1e-8, muon={"transformer": 5.0}
)


def dalle() -> Run:
    """Return a run for captioned drawings: mostly English captions, three views of each picture, moved or mirrored.

    It reads what the whole text means to the shipped CLIP: so it heeds words ten times sooner.
    """
    augmentation = replace(UNCHANGED, zoom=(0.92, 1.08), shift=0.04, flip_rate=0.5)
    return Run(
        model=DALLEConfig(
            text=WordsConfig(length=16, token_dim=64),
            transformer=TransformerConfig(dim=192, depth=6, num_heads=3),
            attention=("full", "column", "row", "row"),
            last_attention="full",
        ),
        objective=DALLEObjectiveConfig(),
        drawing=DrawingConfig(words="pictograms", num_views=3),
        loader=LoaderConfig(
            batch_size=64,
            captions=CaptionChoice(languages={"en": 1.0, "ru": 0.3, "*": 0.05}, tag_rate=0.2),
            augmentation=augmentation,
        ),
        tokenizer=TokenizerConfig(vocab_size=4096, dropout_rate=0.1),
        loop=LoopConfig(
            num_steps=2600,
            warmup_steps=100,
            averaging_decay=0.998,
            validate_every=400,
            optimizer=_OPTIMIZER,
        ),
    )


def dalle_fashion_mnist() -> Run:
    """Return a run of an hour of one core: ten kinds of clothes, so few words that pictures are nearly all to learn."""
    return Run(
        model=DALLEConfig(
            text=WordsConfig(length=10, token_dim=32),
            transformer=TransformerConfig(dim=128, depth=4, num_heads=4),
            attention=("full",),
            last_attention="full",
        ),
        objective=DALLEObjectiveConfig(),
        drawing=DrawingConfig(),
        loader=LoaderConfig(batch_size=64),
        tokenizer=TokenizerConfig(vocab_size=400, dropout_rate=0.1),
        loop=LoopConfig(
            num_steps=2000,
            warmup_steps=60,
            averaging_decay=0.995,
            validate_every=500,
            optimizer=_OPTIMIZER,
        ),
    )
