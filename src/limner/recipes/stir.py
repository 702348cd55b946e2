"""STIR: look at query and candidate together, to order the best hits of a search by picture anew.

limner train stir --from EXTRACTOR --data SET --out reranker
limner train stir-joint --from EXTRACTOR --data SET --out reranker --set model.form=pair
"""

from dataclasses import replace
from typing import cast

from limner.data.loader import LoaderConfig
from limner.models.clip import CLIPConfig
from limner.models.stir import STIRConfig
from limner.objectives.stir import STIRObjectiveConfig
from limner.recipes.base import RankingConfig, Run
from limner.recipes.clip import clip
from limner.search.mine import MiningConfig
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["stir", "stir_joint"]

_STEPS, _FROZEN, _MINED = 1000, 700, 850
"""All steps of reading jointly, those in which the trunk stays, and the step from which on pairs are mined anew."""


def stir() -> Run:
    """Return a run of local STIR: the extractor stays as it is, and a few numbers learn what its tokens are worth."""
    run = stir_joint()
    optimizer = replace(run.loop.optimizer, rates={"vision": 0.0, "image_projection": 0.0}, spans={})
    return replace(
        run,
        model=replace(cast(STIRConfig, run.model), form="local"),
        loop=replace(run.loop, num_steps=100, warmup_steps=10, validate_every=50, save_every=50, optimizer=optimizer),
    )


def stir_joint() -> Run:
    """Return a run of cached STIR on pairs mined with its extractor; also `model.form` pair and interaction.

    The head and the layers that read pairs learn before the trunk does, which then follows at a small rate.
    """
    return Run(
        model=STIRConfig(vision=cast(CLIPConfig, clip().model).vision),
        objective=STIRObjectiveConfig(),
        ranking=RankingConfig(
            query="picture",
            document="picture",
            num_mined=3,
            mining=MiningConfig(every=_MINED, depth=20, trusts_labels=True),
        ),
        loader=LoaderConfig(batch_size=32),
        loop=LoopConfig(
            num_steps=_STEPS,
            warmup_steps=50,
            validate_every=100,
            save_every=100,
            optimizer=OptimizerConfig(
                learning_rate=1e-3,
                weight_decay=0.05,
                rates={"vision": 0.01},
                spans={"vision": (_FROZEN, _STEPS)},
            ),
        ),
    )
