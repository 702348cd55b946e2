"""Which number format a step computes in."""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

__all__ = ["autocast", "has_bfloat16"]


def autocast(module: nn.Module, precision: Literal["auto", "float32", "bfloat16"]) -> AbstractContextManager[object]:
    """Return the context of a forward pass; "auto" takes bfloat16 where the processor or accelerator computes in it."""
    device = next(module.parameters()).device.type
    if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


def has_bfloat16(device: str) -> bool:
    """Return whether a kind of device computes in bfloat16; others emulate it, twenty times slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return platform.machine() == "x86_64" and torch.cpu._is_avx512_bf16_supported()
