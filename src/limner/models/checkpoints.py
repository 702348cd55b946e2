"""A model is a folder with config.json and model.safetensors; nothing in it is ever executed.

A model that was taught from a shipped one and kept some of its weights may leave those out: its config.json then names
the shipped model and the digest of its weights.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limner.config import from_dict, to_dict
from limner.errors import ModelError, UsageError, system_errors
from limner.models.clip import CLIP, CLIPConfig
from limner.models.cross_encoder import CrossEncoder, CrossEncoderConfig
from limner.models.dalle import DALLE, DALLEConfig
from limner.models.dvae import DVAE, DVAEConfig
from limner.models.extractor import Extractor, ExtractorConfig
from limner.models.language_relevance import LanguageRelevance, LanguageRelevanceConfig
from limner.models.late_interaction import LateInteraction, LateInteractionConfig
from limner.models.stir import STIRConfig, build_stir

__all__ = ["MODELS", "SHIPPED", "load_model", "new_folder", "resolve", "save_model", "write_file"]

MODELS: dict[str, tuple[Any, Any]] = {
    "clip": (CLIP, CLIPConfig),
    "cross": (CrossEncoder, CrossEncoderConfig),
    "dalle": (DALLE, DALLEConfig),
    "dvae": (DVAE, DVAEConfig),
    "extractor": (Extractor, ExtractorConfig),
    "language": (LanguageRelevance, LanguageRelevanceConfig),
    "late": (LateInteraction, LateInteractionConfig),
    "stir": (build_stir, STIRConfig),
}

_SHIPPED_FOLDER = Path(__file__).parent.parent / "pretrained"
SHIPPED = tuple(sorted(path.parent.name for path in _SHIPPED_FOLDER.glob("*/config.json")))

_LARGEST_NUMBER = 1 << 22


def resolve(model: str | Path) -> Path:
    """Return the folder of a shipped model, of a run (its best weights, else its last) or of a model.

    Raises:
        ModelError: if there is no such model.
    """
    if str(model) in SHIPPED:
        return _SHIPPED_FOLDER / str(model)
    folder = Path(model)
    for candidate in (folder, folder / "best", folder / "last"):
        if (candidate / "config.json").is_file() and (candidate / "model.safetensors").is_file():
            return candidate
    shipped = ", ".join(SHIPPED) or "none"
    raise ModelError(
        f"{model} is not a model: give a folder with config.json and model.safetensors, a run folder, "
        f"or the name of a shipped model ({shipped})"
    )


def save_model(
    folder: Path, model: nn.Module, *, dtype: torch.dtype = torch.float32, shared_with: str | None = None
) -> None:
    """Write a model's config and weights into a folder, each file replaced at once.

    Weights that equal those of the shipped model `shared_with` are left out, and read from there.

    Raises:
        ModelError: for a kind of model without an entry in MODELS, or one that shares no weights.
    """
    kind = getattr(getattr(model, "config", None), "kind", None)
    if kind not in MODELS:
        raise ModelError(f"{type(model).__name__} has no entry in MODELS")
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in model.state_dict().items()
    }
    description = {"kind": kind, "config": to_dict(model.config)}
    if shared_with is not None:
        base_folder = resolve(shared_with)
        base = _tensors_with_shared(base_folder)
        own = {name: tensor for name, tensor in weights.items() if not _is_same(tensor, base.get(name))}
        if len(own) == len(weights):
            raise ModelError(f"the model shares no weights with {shared_with}; write it whole")
        weights = own
        description["shared"] = {"model": shared_with, "digest": _digest(base_folder)}
    partial = folder / "model.safetensors.partial"
    with system_errors(partial):
        save_file(weights, partial)
    partial.chmod(0o644)
    partial.replace(folder / "model.safetensors")
    write_file(folder / "config.json", json.dumps(description, indent=2) + "\n")


def load_model(model: str | Path) -> nn.Module:
    """Return a model from its folder, in float32 and in evaluation mode.

    Raises:
        ModelError: if the folder is missing, damaged, of an unknown kind, or its weights do not fit its config.
    """
    folder = resolve(model)
    module, config, shared = _read_config(folder)
    try:
        with torch.device("meta"):
            expected = {name: tuple(tensor.shape) for name, tensor in module(config).state_dict().items()}
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        base = {name: tensor for name, tensor in _tensors_with_shared(shared).items() if name in expected}
        found = {name: tuple(tensor.shape) for name, tensor in base.items()} | found
        if found != expected:
            raise ModelError(f"{folder}: {_difference(expected, found)}; the weights do not belong to this config.json")
        weights = base | _tensors(folder)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelError(f"{folder}/model.safetensors cannot be read ({error}); restore it from a copy") from None
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise ModelError(f"{folder}/model.safetensors holds weights that are no finite numbers; restore it from a copy")
    built: nn.Module = module(config)
    built.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    return built.eval()


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `out` at once in the end, and nothing if that fails.

    Raises:
        UsageError: if something came to `out` in the meantime.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as workspace:
        draft = Path(workspace, "draft")
        draft.mkdir()
        yield draft
        try:
            draft.rename(out)
        except OSError as error:
            if not out.exists():
                raise
            raise UsageError(f"{out} exists by now, made by another process; name a new folder") from error


def write_file(path: Path, text: str) -> None:
    """Replace a text file at once, so that a reader sees the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def _tensors_with_shared(folder: Path | None) -> dict[str, Tensor]:
    """Return the weights of a folder, and those that it has from a shipped model, which may have some from another."""
    return {} if folder is None else _tensors_with_shared(_read_config(folder)[2]) | _tensors(folder)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _is_same(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and tensor.shape == other.shape and bool((tensor == other).all())


def _read_config(folder: Path) -> tuple[Any, Any, Path | None]:
    """Return the class and config of a model, and the folder of the shipped model whose weights it shares."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder}/config.json cannot be read ({error}); restore it from a copy") from None
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in MODELS:
        raise ModelError(f"{folder}/config.json names the kind {kind!r}; known kinds: {', '.join(sorted(MODELS))}")
    if _largest(values) > _LARGEST_NUMBER:
        raise ModelError(f"{folder}/config.json asks for a size above {_LARGEST_NUMBER}; it is damaged")
    module, config = MODELS[kind]
    try:
        return module, from_dict(config, values.get("config", {})), _shared(folder, values.get("shared"))
    except ValueError as error:
        raise ModelError(f"{folder}/config.json does not describe a {kind} model: {error}") from None


def _shared(folder: Path, shared: Any) -> Path | None:
    if shared is None:
        return None
    name, digest = (shared.get("model"), shared.get("digest")) if isinstance(shared, dict) else (None, None)
    if name not in SHIPPED:
        raise ModelError(f"{folder}/config.json shares weights with {name!r}, which is not shipped with this version")
    if digest != _digest(_SHIPPED_FOLDER / name):
        raise ModelError(f"{folder} shares weights with another version of {name}; export it again with this one")
    return _SHIPPED_FOLDER / str(name)


def _largest(values: Any) -> float:
    if isinstance(values, dict):
        return max(map(_largest, values.values()), default=0.0)
    if isinstance(values, list):
        return max(map(_largest, values), default=0.0)
    return float(abs(values)) if isinstance(values, int | float) else 0.0


def _difference(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> str:
    name = sorted(set(expected.items()) ^ set(found.items()))[0][0]
    return f"{name} has shape {found.get(name, 'none')}, and the config asks for {expected.get(name, 'none')}"
