"""STIR: a siamese transformer reads two pictures together and says whether they show the same thing.

Paper: https://arxiv.org/abs/2304.13393. Four forms of one question, the score being the log-odds of yes:

pair         both pictures, one above the other -> one pass of the layers -> mean, or class token -> perceptron
interaction  embeddings -> product and distance of each number -> perceptron, added to the scaled cosine
cached       picture -> first layers \\
                                      last layers, jointly -> both means compared -> perceptron, added to the cosine
             picture -> first layers /
local        embeddings, and tokens of a finer grid early in the trunk -> each token's nearest in the other picture ->
             mean of these cosines, added to the cosine

`pair` is the paper's. `cached` keeps what the first `num_separate` layers make of a candidate, so that only the last
ones run for each pair; with all layers separate nothing is read jointly. A vision transformer's layers are its own
blocks, so that a trained extractor is started from as it is; a convolutional trunk gets layers over its grid.
"""

from limner.models.stir.base import STIR, EmbeddingSTIR
from limner.models.stir.cached import CachedSTIR
from limner.models.stir.config import STIRConfig
from limner.models.stir.interaction import InteractionSTIR
from limner.models.stir.local import LocalSTIR
from limner.models.stir.pair import PairSTIR

__all__ = ["STIR", "EmbeddingSTIR", "STIRConfig", "build_stir"]

_FORMS: dict[str, type[STIR]] = {
    "pair": PairSTIR,
    "interaction": InteractionSTIR,
    "cached": CachedSTIR,
    "local": LocalSTIR,
}


def build_stir(config: STIRConfig) -> STIR:
    """Return the model of the form that a config names, with random weights."""
    return _FORMS[config.form](config)
