"""How alike two pictures are: peak signal-to-noise ratio and structural similarity."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from limner.types import Images

__all__ = ["psnr", "ssim"]

PerPicture = Float[Tensor, " batch"]

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(images: Images, others: Images) -> PerPicture:
    """Return -10 log10 of the mean squared error, in decibels, of pictures in [0, 1]; 100 for equal ones."""
    return -10 * (images - others).square().mean(dim=(1, 2, 3)).clamp_min(1e-10).log10()


def ssim(images: Images, others: Images) -> PerPicture:
    r"""Return the structural similarity, the mean over places and channels; 1 for equal pictures in [0, 1].

    .. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
                   {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

    Means and covariances are of Gaussian windows of 11 pixels, wholly inside the picture
    (https://doi.org/10.1109/TIP.2003.819861); of the largest odd number that fits, in pictures smaller than that.
    """
    x, y = images.double(), others.double()
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (luminance * structure).mean(dim=(1, 2, 3)).float()


def _blurred(x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 rows columns"]:
    least = min(x.shape[2:])
    size = min(_WINDOW, least - 1 + least % 2)
    places = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
    weights = (-(places**2) / (2 * _SIGMA**2)).exp()
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    rows = functional.conv2d(x, weights, groups=x.shape[1])
    return functional.conv2d(rows, weights.transpose(2, 3), groups=x.shape[1])
