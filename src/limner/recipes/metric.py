"""Metric learning: a picture finds others of the same thing (ViT-Triplet), the extractor that STIR re-ranks.

limner train metric --from pictograms --data SET --out extractor
limner train metric --data SET --out extractor --set model.vision.kind=vit
"""

from dataclasses import replace

from limner.objectives.metric import MetricObjectiveConfig
from limner.recipes.base import MetricConfig, Run
from limner.recipes.clip import clip
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["metric"]


def metric() -> Run:
    """Return a run of batch-hard triplets: the small convolutional trunk, or that of the CLIP it starts from."""
    run = clip()
    return replace(
        run,
        objective=MetricObjectiveConfig(),
        metric=MetricConfig(),
        loader=replace(run.loader, batch_size=160),
        loop=LoopConfig(
            num_steps=1000,
            warmup_steps=50,
            validate_every=50,
            save_every=50,
            optimizer=OptimizerConfig(learning_rate=5e-4, weight_decay=0.05, rates={"vision": 0.5}),
        ),
    )
