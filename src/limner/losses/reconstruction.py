"""Losses of pictures that went through a grid of codes: likelihoods, the divergence of the codes, and the bound.

All are in nats and one number a picture. Likelihoods are a mean over the dimensions of a picture (pixels times
channels), the divergence a mean over the places of its grid: no weight depends on the batch, the picture or the grid.
"""

import math

from jaxtyping import Float
from torch import Tensor

from limner.types import Images

__all__ = ["gaussian", "kl_to_uniform", "laplace", "logit_laplace", "lower_bound"]

PerPicture = Float[Tensor, " batch"]


def logit_laplace(mapped: Images, mean: Images, log_scale: Images) -> PerPicture:
    r"""Return the mean negative log-density of pixels in the open interval (0, 1).

    .. math:: f(x \mid \mu, b) = \frac{1}{2 b x (1 - x)} \exp\left(-\frac{|\mathrm{logit}(x) - \mu|}{b}\right)

    `mapped` are pixels after the map of `nn/pixels.py`; `log_scale` is ln b
    (https://arxiv.org/abs/2102.12092, appendix A.3).
    """
    jacobian = (mapped * (1 - mapped)).log()
    nats = math.log(2) + log_scale + jacobian + (mapped.logit() - mean).abs() * (-log_scale).exp()
    return nats.mean(dim=(1, 2, 3))


def gaussian(images: Images, pictures: Images, *, scale: float) -> PerPicture:
    r"""Return the squared error as a likelihood: :math:`(x - \hat x)^2 / 2 \sigma^2 + \ln \sigma \sqrt{2 \pi}`."""
    constant = math.log(scale) + 0.5 * math.log(2 * math.pi)
    return ((images - pictures).square() / (2 * scale**2)).mean(dim=(1, 2, 3)) + constant


def laplace(images: Images, pictures: Images, *, scale: float) -> PerPicture:
    r"""Return the absolute error as a likelihood: :math:`|x - \hat x| / b + \ln 2 b`."""
    return ((images - pictures).abs() / scale).mean(dim=(1, 2, 3)) + math.log(2 * scale)


def kl_to_uniform(logits: Float[Tensor, "batch rows columns num_codes"]) -> PerPicture:
    r"""Return the divergence of each place's distribution over K codes from the uniform one, the mean over places.

    .. math:: \mathrm{KL}(q \,\|\, u) = \ln K + \sum_k q_k \ln q_k
    """
    log_q = logits.log_softmax(dim=-1)
    return ((log_q.exp() * log_q).sum(dim=-1) + math.log(logits.shape[-1])).mean(dim=(1, 2))


def lower_bound(nats: PerPicture, divergence: PerPicture, *, num_places: int, num_dims: int) -> PerPicture:
    r"""Return the bound on the log-likelihood of a picture, in nats per dimension.

    .. math:: \frac1D \left( \mathbb E_q \ln p(x \mid z) - \sum_{i=1}^{N} \mathrm{KL}(q_i \,\|\, u) \right)

    `nats` and `divergence` are the means that the other functions return: -ln p / D and the divergence / N.
    """
    return -nats - divergence * (num_places / num_dims)
