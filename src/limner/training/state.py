"""The state of a run on disk: all that makes a resumed run equal an uninterrupted one, in safetensors."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from limner.errors import TrainingError, system_errors

__all__ = ["latest_state", "latest_step", "load_state", "save_state"]

_NAME = re.compile(r"step-(\d{8,})")


def save_state(
    folder: Path,
    *,
    step: int,
    parts: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> Path:
    """Write `step-N`, whole or not at all, and then remove the older ones; return its folder.

    The random numbers of a step are seeded by its number, and so is the place in the data: neither needs saving.
    """
    tensors: dict[str, Tensor] = {}
    for part, module in parts.items():
        tensors |= {f"{part}/{name}": tensor for name, tensor in module.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": torch.as_tensor(value) for name, value in values.items()}
    target = folder / f"step-{step:08d}"
    partial = folder / f"{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with system_errors(partial):
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, partial / "state.safetensors")
    (partial / "state.json").write_text(json.dumps({"step": step, **facts}), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    for other in folder.iterdir():
        if other != target and _NAME.match(other.name):
            shutil.rmtree(other, ignore_errors=True)
    return target


def latest_state(folder: Path) -> Path | None:
    """Return the newest whole state of a run, or None."""
    if not folder.is_dir():
        return None
    return max((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), default=None)


def latest_step(folder: Path) -> int:
    """Return the step that the newest whole state of a run was saved at, 0 if there is none."""
    state = latest_state(folder)
    return int(state.name.removeprefix("step-")) if state else 0


def load_state(state: Path, *, parts: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fill modules and optimiser from a state; return its step and facts.

    Raises:
        TrainingError: if the state is damaged or belongs to another model.
    """
    try:
        facts: dict[str, Any] = json.loads((state / "state.json").read_text(encoding="utf-8"))
        with safe_open(state / "state.safetensors", framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for part, module in parts.items():
            prefix = f"{part}/"
            module.load_state_dict(
                {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            )
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, number, field = name.split("/")
                values.setdefault(int(number), {})[field] = tensor
        optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise TrainingError(
            f"{state} cannot be resumed ({error}); remove that folder to start from the one before it"
        ) from None
    return facts
