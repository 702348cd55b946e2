import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from limner.evaluation.similarity import psnr, ssim


def some_pictures(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, 20, 24, generator=generator)
    return images, (images + 0.2 * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def test_psnr_is_the_logarithm_of_the_mean_squared_error() -> None:
    images, others = some_pictures()
    for row in range(2):
        errors = [(a - b) ** 2 for a, b in zip(images[row].flatten(), others[row].flatten(), strict=True)]
        expected = -10 * torch.log10(torch.stack(errors).mean())
        assert psnr(images, others)[row].item() == pytest.approx(expected.item(), rel=1e-5)
    assert psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)).item() == pytest.approx(20, abs=1e-4)


def test_ssim_is_the_one_of_gaussian_filters() -> None:
    """Against scipy's filter, cut off at 3.5 sigma and judged where the window lies inside, channel by channel."""
    images, others = some_pictures(1)
    for row in range(2):
        values = []
        for channel in range(3):
            x, y = (pictures[row, channel].double().numpy() for pictures in (images, others))
            blur = lambda z: gaussian_filter(z, 1.5, truncate=3.5)[5:-5, 5:-5]  # noqa: E731
            mx, my = blur(x), blur(y)
            vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
            c1, c2 = 0.01**2, 0.03**2
            values.append((((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
        assert ssim(images, others)[row].item() == pytest.approx(sum(values) / 3, abs=1e-6)


def test_equal_pictures_are_alike_and_inverted_ones_are_not() -> None:
    images, _ = some_pictures(2)
    torch.testing.assert_close(ssim(images, images), torch.ones(2))
    assert float(ssim(images, 1 - images).max()) < 0
    assert psnr(images, images).tolist() == pytest.approx([100, 100], abs=1e-3)


@pytest.mark.parametrize("side", [1, 2, 8, 10, 11])
def test_small_pictures_are_compared_in_smaller_windows(side: int) -> None:
    dark, light = torch.full((1, 3, side, 20), 0.2), torch.full((1, 3, side, 20), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(dark, light).item() == pytest.approx(expected, abs=1e-4)
    images = torch.rand(1, 3, side, 20)
    assert ssim(images, images).item() == pytest.approx(1)
