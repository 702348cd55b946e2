"""Pixels in [0, 1] and in the open interval where a logit is finite, https://arxiv.org/abs/2102.12092, appendix A.3."""

from limner.types import Images

__all__ = ["INTERVAL_MARGIN", "from_interval", "into_interval"]

INTERVAL_MARGIN = 0.1


def into_interval(images: Images) -> Images:
    r"""Return :math:`\varphi(x) = (1 - 2\epsilon) x + \epsilon`, in [0.1, 0.9]."""
    return (1 - 2 * INTERVAL_MARGIN) * images + INTERVAL_MARGIN


def from_interval(mapped: Images) -> Images:
    """Return pixels in [0, 1] from mapped ones; what lies beyond black or white becomes that."""
    return ((mapped - INTERVAL_MARGIN) / (1 - 2 * INTERVAL_MARGIN)).clamp(0, 1)
