"""Pixels in [0, 1] and in the open interval where a logit is finite, https://arxiv.org/abs/2102.12092, appendix A.3."""

from limner.types import Images

__all__ = ["from_interval", "into_interval"]

_MARGIN = 0.1


def into_interval(images: Images) -> Images:
    r"""Return :math:`\varphi(x) = (1 - 2\epsilon) x + \epsilon`, in [0.1, 0.9]."""
    return (1 - 2 * _MARGIN) * images + _MARGIN


def from_interval(mapped: Images, *, clamped: bool = True) -> Images:
    """Return pixels from mapped ones; what lies beyond black or white becomes that, or else keeps its gradient."""
    pixels = (mapped - _MARGIN) / (1 - 2 * _MARGIN)
    return pixels.clamp(0, 1) if clamped else pixels
