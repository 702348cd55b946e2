"""dVAEs on a laptop: pictures as grids of codes, for a DALL-E to draw.

limner train dvae --data SET --out run
"""

from dataclasses import replace

from limner.data.augmentation import UNCHANGED
from limner.data.loader import LoaderConfig
from limner.models.dvae import DVAEConfig
from limner.nn.hybrid import HybridConfig, HybridStage
from limner.nn.transformer import TransformerConfig
from limner.objectives.dvae import DVAEObjectiveConfig
from limner.recipes.base import Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["dvae", "dvae_fashion_mnist"]

_MIRRORED = replace(UNCHANGED, flip_rate=0.5)
_OBJECTIVE = DVAEObjectiveConfig(
    likelihood="laplace",
    kl_weight=0.1,
    final_temperature=0.25,
    temperature_share=0.85,
    revive_after=40,
    decoder_share=0.15,
)
"""Codes that cool slowly, and not all the way, go on moving to where pictures need them."""
_OPTIMIZER = OptimizerConfig(learning_rate=2e-3, weight_decay=0.01, muon={"encoder": 3.0, "decoder": 3.0})


def dvae() -> Run:
    """Return a run for drawings of 64 pixels: 8 x 8 codes of 512, and 1.1 M parameters."""
    return Run(
        model=DVAEConfig(),
        objective=_OBJECTIVE,
        loader=LoaderConfig(batch_size=32, augmentation=_MIRRORED),
        tokenizer=None,
        loop=LoopConfig(
            num_steps=3600,
            warmup_steps=40,
            averaging_decay=0.99,
            validate_every=300,
            optimizer=_OPTIMIZER,
        ),
    )


def dvae_fashion_mnist() -> Run:
    """Return a run of minutes: 14 x 14 codes of 512 for pictures of 28 pixels, as folds and soles are small."""
    grid = TransformerConfig(dim=64, depth=1, num_heads=2)
    network = HybridConfig(patch_size=1, stages=(HybridStage(dim=24),), code_dim=48, encoder=grid, decoder=grid)
    return Run(
        model=DVAEConfig(image_size=28, num_codes=512, network=network),
        objective=_OBJECTIVE,
        loader=LoaderConfig(batch_size=48, augmentation=_MIRRORED),
        tokenizer=None,
        loop=LoopConfig(
            num_steps=2000,
            warmup_steps=50,
            averaging_decay=0.99,
            validate_every=300,
            optimizer=_OPTIMIZER,
        ),
    )
