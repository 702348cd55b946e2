"""Learning to rank pictures for words, or texts and pictures for texts and pictures, with any loss and any model.

limner train ranking --data SET --from CLIP --out run --set model.kind=cross --set objective.loss=lambda_rank
"""

from dataclasses import replace

from limner.objectives.ranking import RankingObjectiveConfig
from limner.recipes.base import RankingConfig, Run
from limner.recipes.clip import clip
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["ranking"]


def ranking() -> Run:
    """Return a ranking run: the dual encoder (`model.kind` clip); also cross, late and language."""
    run = clip()
    return replace(
        run,
        objective=RankingObjectiveConfig(),
        ranking=RankingConfig(),
        loader=replace(run.loader, batch_size=96),
        loop=LoopConfig(num_steps=1500, warmup_steps=100, optimizer=OptimizerConfig(learning_rate=1e-3)),
    )
