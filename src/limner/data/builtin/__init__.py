"""Real picture sets that Limner builds by itself from published packages."""

from limner.data.builtin.building import BUILTIN, build
from limner.data.builtin.report import BuildReport

__all__ = ["BUILTIN", "BuildReport", "build"]
