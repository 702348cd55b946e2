"""What a run starts from: nothing, published weights of a trunk, or another model and its tokenizer."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limner.config import to_dict
from limner.data.progress import Say
from limner.data.tokenizer import Tokenizer
from limner.errors import ModelError, UsageError, system_errors
from limner.generation.drawer import load_drawer, load_dvae
from limner.interop.efficientnet import load_efficientnet_lite0
from limner.models.checkpoints import MODELS, SHIPPED
from limner.models.clip import CLIP, CLIPConfig
from limner.models.dalle import DALLE, DALLEConfig
from limner.models.dvae import DVAE
from limner.models.language_relevance import LanguageRelevanceConfig
from limner.models.stir import STIRConfig
from limner.nn.inverted_residual import InvertedResidualTrunk
from limner.nn.meaning import MeaningConfig
from limner.objectives.base import Objective
from limner.recipes.base import Run
from limner.search.embedder import Embedder, load_embedder
from limner.search.reranker import load_reranker
from limner.training.optimizer import is_part

__all__ = [
    "Start",
    "build_model",
    "dvae_of",
    "has_other_codes",
    "is_beside",
    "is_fresh",
    "load_beside",
    "load_start",
    "save_beside",
    "speaker_of",
    "with_codes_of",
    "with_sizes_of",
    "with_speaker",
    "with_vocabulary",
    "without_muon",
]

_BESIDE = "objective.safetensors"

_YES, _NO = "true", "false"
_BEGINNINGS = {"bias": "bias", "log_scale": "temperature"}
"""Parameters that begin where the run sets the field, if it sets it otherwise than the model it starts from."""


_WHOLE = ("dalle", "dvae")
"""Kinds that start from one of their own alone, all of whose weights they take over."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """The model that a run starts from, with its tokenizer if it reads words and its dVAE if it draws."""

    name: str
    model: Any
    tokenizer: Tokenizer | None = None
    dvae: DVAE | None = None


def load_start(run: Run, name: str | Path) -> Start:
    """Return the model of a name or folder for a run to start from; a dVAE may also be that of a DALL-E.

    Raises:
        ModelError: if there is no such model, it is damaged, or of a kind that the run cannot start from.
    """
    if run.model.kind == "dvae":
        return Start(name=str(name), model=load_dvae(name))
    if run.model.kind == "dalle":
        drawer = load_drawer(name)
        return Start(name=str(name), model=drawer.model, tokenizer=drawer.tokenizer, dvae=drawer.dvae)
    ranker = load_reranker(name)
    if ranker.kind not in ("clip", run.model.kind) and (ranker.kind, run.model.kind) != ("extractor", "stir"):
        raise ModelError(
            f"{name} is of the kind '{ranker.kind}', from which a '{run.model.kind}' cannot start; give a CLIP"
        )
    return Start(name=str(name), model=ranker.model, tokenizer=ranker.tokenizer)


def with_sizes_of(run: Run, start: Start) -> Run:
    """Return a run whose model has the sizes of the one it starts from, where it has such a part."""
    known: Any = start.model.config
    names = {field.name for field in fields(run.model)} & {field.name for field in fields(known)} - {"kind"}
    return replace(run, model=replace(run.model, **{name: getattr(known, name) for name in names}))


def without_muon(run: Run) -> Run:
    """Return a run all of whose parts step by AdamW: Muon's steps are large ones, for weights that begin at random."""
    optimizer = replace(run.loop.optimizer, muon={})
    return replace(run, loop=replace(run.loop, optimizer=optimizer))


def dvae_of(run: Run, start: Start | None) -> DVAE | None:
    """Return the dVAE that a run names, else that of the DALL-E it starts from; None if it does not teach to draw.

    Raises:
        UsageError: if there is none.
        ModelError: if there is no such dVAE, or the DALL-E that the run starts from does not draw its codes.
    """
    if run.drawing is None:
        return None
    if start is not None and not run.drawing.dvae:
        return start.dvae
    if not run.drawing.dvae:
        raise UsageError("name the dVAE whose codes are to be learned: --set drawing.dvae=RUN, of `limner train dvae`")
    dvae = load_dvae(run.drawing.dvae)
    if start is not None:
        drawn, made = ((each.num_codes, each.grid_size) for each in (start.model.config, dvae.config))
        if drawn != made:
            raise ModelError(
                f"{start.name} draws {_places(*drawn)}, and {run.drawing.dvae} has {_places(*made)}; leave out "
                "drawing.dvae to go on with its own dVAE, or start without --from"
            )
    return dvae


def speaker_of(run: Run) -> Embedder | None:
    """Return the CLIP whose words a DALL-E begins with or knows, None if the run names none.

    Raises:
        ModelError: if there is no such model, or it reads no words.
    """
    if not run.drawing or not run.drawing.words:
        return None
    speaker = load_embedder(run.drawing.words)
    if not isinstance(speaker.model, CLIP):
        raise ModelError(f"{run.drawing.words} reads no words; name a CLIP in drawing.words, or leave it out")
    return speaker


def with_speaker(run: Run, start: Start | None, *, say: Say) -> tuple[Run, Embedder | None]:
    """Return a run whose model has room for the tokens of the CLIP that it names, and that CLIP.

    A DALL-E that a run starts from keeps the words it has: those of another CLIP than it knows are left out, and said.
    """
    speaker = speaker_of(run)
    if speaker is None:
        return run, None
    assert run.drawing is not None and isinstance(run.model, DALLEConfig)
    if start is not None and not _hears(start.model, cast(CLIP, speaker.model)):
        say(f"{start.name} does not know what words mean to {speaker.name}, so it goes on from texts alone")
        return replace(run, drawing=replace(run.drawing, words="")), None
    known: CLIPConfig = speaker.model.config
    text = replace(run.model.text, vocab_size=known.text.vocab_size, token_dim=known.text.token_dim)
    # A path that stays good wherever the run is resumed.
    name = speaker.name if speaker.name in SHIPPED else str(Path(speaker.name).resolve())
    model = replace(run.model, text=text, meaning=_meaning_of(known))
    return replace(run, model=model, drawing=replace(run.drawing, words=name)), speaker


def _meaning_of(known: CLIPConfig) -> MeaningConfig:
    return MeaningConfig(text=known.text, embed_dim=known.embed_dim)


def _hears(model: DALLE, speaker: CLIP) -> bool:
    """Return whether a DALL-E reads what words mean to this very CLIP."""
    if model.meaning is None or model.meaning.config != _meaning_of(speaker.config):
        return False
    own, known = model.meaning.state_dict(), speaker.state_dict()
    return all(_is_nearly(tensor, known[name]) for name, tensor in own.items() if name in known)


def has_other_codes(start: Start, dvae: DVAE) -> bool:
    """Return whether codes mean something else to a dVAE than to that of the DALL-E that a run starts from."""
    assert start.dvae is not None
    own, other = start.dvae.state_dict(), dvae.state_dict()
    if start.dvae.config != dvae.config:
        return True
    return not all(_is_nearly(own[name], tensor) for name, tensor in other.items())


def _is_nearly(one: Tensor, other: Tensor) -> bool:
    """Return whether weights are the same ones, one of which may have been exported as float16 and read back."""
    return torch.allclose(one, other, rtol=1e-2, atol=1e-3)


def _places(num_codes: int, grid_size: int) -> str:
    return f"{grid_size} x {grid_size} places of {num_codes} codes"


def with_codes_of(run: Run, dvae: DVAE) -> Run:
    """Return a run whose model draws the codes of a dVAE."""
    assert isinstance(run.model, DALLEConfig)
    model = replace(run.model, num_codes=dvae.config.num_codes, grid_size=dvae.config.grid_size)
    return replace(run, model=model)


def save_beside(folder: Path, objective: Objective) -> None:
    """Keep what an objective learned beside its model in the model's folder, if it learned anything."""
    state = objective.own_state()
    if state:
        partial = folder / f"{_BESIDE}.partial"
        with system_errors(partial):
            save_file({name: value.contiguous().cpu() for name, value in state.items()}, partial)
        partial.replace(folder / _BESIDE)


def is_beside(folder: Path) -> bool:
    """Return whether a model's folder also holds what its objective learned."""
    return (folder / _BESIDE).is_file()


def load_beside(folder: Path, objective: Objective) -> None:
    """Give an objective what another learned beside the model in this folder.

    Raises:
        ModelError: if there is no such file, or it does not fit.
    """
    try:
        state = load_file(folder / _BESIDE)
        objective.load_state_dict(objective.state_dict() | state)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{folder}/{_BESIDE} cannot be read ({error}); start --from a run of the recipe 'pictograms'"
        ) from None


def with_vocabulary(run: Run, tokenizer: Tokenizer, *, is_new: bool) -> Run:
    """Return a run whose model knows the tokens: how many there are, if they are new, and those of its own words."""
    model: Any = run.model
    if isinstance(model, STIRConfig):
        return run
    if is_new:
        model = replace(model, text=replace(model.text, vocab_size=tokenizer.vocab_size))
    if isinstance(model, LanguageRelevanceConfig):
        model = replace(model, true_token=tokenizer.word_token(_YES), false_token=tokenizer.word_token(_NO))
    return replace(run, model=model)


def is_fresh(run: Run, name: str) -> bool:
    """Return whether a parameter begins at random although the run starts from another model."""
    return any(is_part(name, part) for part in run.fresh)


def build_model(run: Run, start: Start | None, speaker: Embedder | None = None) -> nn.Module:
    """Return the model of a run with the weights it starts from; what a CLIP lacks of it starts at random.

    Without a start, a DALL-E takes its tokens and what they mean from `speaker`.

    Raises:
        ModelError: if the sizes of the two differ, or a dVAE or DALL-E has other parts than the run asks for.
    """
    torch.manual_seed(run.loop.seed)
    model: nn.Module = MODELS[run.model.kind][0](run.model)
    if run.image_start:
        load_efficientnet_lite0(cast(InvertedResidualTrunk, model.vision))
    if start is None:
        if speaker is not None:
            _speak(cast(DALLE, model), cast(CLIP, speaker.model))
        return model
    own = model.state_dict()
    known = start.model.state_dict()
    anew = {name for name in own if is_fresh(run, name)}
    shared = {name: tensor for name, tensor in known.items() if name in own and name not in anew}
    unlike = sorted(own.keys() - shared.keys()) or sorted(known.keys() - own.keys())
    if unlike and run.model.kind in _WHOLE:
        holder = "the run" if unlike[0] in own else start.name
        raise ModelError(
            f"of {start.name} and what the run asks for, only {holder} has {unlike[0]}; leave the parts as they are, "
            "or start without --from"
        )
    asked, had = to_dict(run.model), to_dict(start.model.config)
    for name, setting in _BEGINNINGS.items():
        if asked.get(setting) != had.get(setting):
            shared.pop(name, None)
    for name, tensor in shared.items():
        if own[name].shape != tensor.shape:
            raise ModelError(
                f"{start.name} has {name} of shape {tuple(tensor.shape)}, and the run asks for "
                f"{tuple(own[name].shape)}; leave the sizes as they are, or start without --from"
            )
    model.load_state_dict(own | shared)
    return model


def _speak(model: DALLE, speaker: CLIP) -> None:
    model.tokens.load_state_dict(speaker.text.tokens.state_dict())
    if model.meaning is not None:
        model.meaning.text.load_state_dict(speaker.text.state_dict())
        model.meaning.text_projection.load_state_dict(speaker.text_projection.state_dict())
