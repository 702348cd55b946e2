"""What is left of pictures that go through a dVAE's codes, and how many of its codes they use."""

from collections.abc import Sequence

import torch
from PIL import Image

from limner.data.pixels import stack_images
from limner.evaluation.similarity import psnr, ssim
from limner.models.dvae import DVAE
from limner.objectives.dvae import DVAEObjectiveConfig, bounds, use_of_codes

__all__ = ["reconstruction_figures"]

_BATCH_SIZE = 64


@torch.inference_mode()
def reconstruction_figures(
    model: DVAE, pictures: Sequence[Image.Image], objective: DVAEObjectiveConfig | None = None
) -> dict[str, float]:
    """Return mean PSNR and SSIM, usage and perplexity of the codes over all pictures; nothing if there is none.

    With the config of the objective, also the true and the relaxed bound, in nats per dimension.
    """
    found: dict[str, list[torch.Tensor]] = {}
    counts = torch.zeros(model.config.num_codes, dtype=torch.int64)
    for start in range(0, len(pictures), _BATCH_SIZE):
        images = stack_images(pictures[start : start + _BATCH_SIZE], model.config.image_size)
        codes = model.codes(images)
        counts += torch.bincount(codes.flatten(), minlength=len(counts))
        drawn = model.decode(codes)
        values = {"PSNR": psnr(images, drawn), "SSIM": ssim(images, drawn)}
        for name, value in (values | (bounds(model, images, objective) if objective else {})).items():
            found.setdefault(name, []).append(value)
    if not found:
        return {}
    means = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return means | {name: float(value) for name, value in use_of_codes(counts).items()}
