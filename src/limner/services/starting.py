"""What a run starts from: nothing, published weights of a trunk, or another model and its tokenizer."""

from dataclasses import fields, replace
from typing import Any, cast

import torch

from limner.config import to_dict
from limner.data.tokenizer import Tokenizer
from limner.errors import ModelError
from limner.interop.efficientnet import load_efficientnet_lite0
from limner.models.checkpoints import MODELS
from limner.models.language_relevance import LanguageRelevanceConfig
from limner.models.relevance import RelevanceModel
from limner.nn.inverted_residual import InvertedResidualTrunk
from limner.recipes.base import ModelConfig, Run
from limner.search.reranker import Reranker

__all__ = ["build_model", "with_sizes_of", "with_vocabulary"]

_YES, _NO = "true", "false"
_BEGINNINGS = {"bias": "bias", "log_scale": "temperature"}
"""Parameters that begin where the run sets the field, if it sets it otherwise than the model it starts from."""


def with_sizes_of(run: Run, start: Reranker) -> Run:
    """Return a run whose model has the sizes of the one it starts from, where it has such a part.

    Raises:
        ModelError: if that is neither a model of the run's kind nor a CLIP.
    """
    known: Any = start.model.config
    if start.kind not in ("clip", run.model.kind):
        raise ModelError(
            f"{start.name} is of the kind '{start.kind}', from which a '{run.model.kind}' cannot start; give a CLIP"
        )
    names = {field.name for field in fields(run.model)} & {field.name for field in fields(known)} - {"kind"}
    return replace(run, model=replace(run.model, **{name: getattr(known, name) for name in names}))


def with_vocabulary(run: Run, tokenizer: Tokenizer, *, is_new: bool) -> Run:
    """Return a run whose model knows the tokens: how many there are, if they are new, and those of its own words."""
    model: ModelConfig = run.model
    if is_new:
        model = replace(model, text=replace(model.text, vocab_size=tokenizer.vocab_size))
    if isinstance(model, LanguageRelevanceConfig):
        model = replace(model, true_token=tokenizer.word_token(_YES), false_token=tokenizer.word_token(_NO))
    return replace(run, model=model)


def build_model(run: Run, start: Reranker | None) -> RelevanceModel:
    """Return the model of a run with the weights it starts from; what a CLIP lacks of it starts at random.

    Raises:
        ModelError: if the sizes of the two differ.
    """
    torch.manual_seed(run.loop.seed)
    model = cast(RelevanceModel, MODELS[run.model.kind][0](run.model))
    if run.image_start:
        load_efficientnet_lite0(cast(InvertedResidualTrunk, model.vision))
    if start is None:
        return model
    own = model.state_dict()
    shared = {name: tensor for name, tensor in start.model.state_dict().items() if name in own}
    asked, known = to_dict(run.model), to_dict(start.model.config)
    for name, setting in _BEGINNINGS.items():
        if asked.get(setting) != known.get(setting):
            shared.pop(name, None)
    for name, tensor in shared.items():
        if own[name].shape != tensor.shape:
            raise ModelError(
                f"{start.name} has {name} of shape {tuple(tensor.shape)}, and the run asks for "
                f"{tuple(own[name].shape)}; leave the sizes as they are, or start without --from"
            )
    model.load_state_dict(own | shared)
    return model
