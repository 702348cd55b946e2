"""How pictures are drawn unless something else is asked for; without torch, so that `--help` need not load it."""

__all__ = ["COUNT", "GUIDANCE", "TEMPERATURE", "TOP_K", "TOP_P"]

COUNT = 8
GUIDANCE = 2.0
TEMPERATURE = 1.0
TOP_K = 0
TOP_P = 1.0
