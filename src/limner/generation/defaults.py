"""How pictures are drawn unless something else is asked for; without torch, so that `--help` need not load it."""

__all__ = ["COUNT", "DRAWER", "GUIDANCE", "TEMPERATURE", "TOP_K", "TOP_P"]

DRAWER = "pictograms-dalle"
COUNT = 8
GUIDANCE = 6.0
TEMPERATURE = 1.0
TOP_K = 0
TOP_P = 0.8
