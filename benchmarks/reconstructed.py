"""What do the codes of the shipped dVAE keep of drawings that training never saw?

    limner data get pictograms pictograms && limner data get openclipart openclipart
    python benchmarks/reconstructed.py --pictograms pictograms --openclipart openclipart

The pictures of the protocols U, S and C of text to picture: concepts never seen, a style never seen, and clip art, none
of which the dVAE learned from. A mean of the colours of each place of the code grid stands beside it.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from limner.data.pixels import stack_images
from limner.evaluation.reconstruction import reconstruction_figures
from limner.evaluation.similarity import psnr, ssim
from limner.generation.drawer import load_dvae
from limner.models.checkpoints import SHIPPED, resolve
from record import markdown_table, show_figures, write_result

_BATCH_SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pictograms-dvae")
    parser.add_argument("--pictograms", type=Path, required=True)
    parser.add_argument("--openclipart", type=Path, required=True)
    parser.add_argument("--name", default="reconstructed", help="the name of the result page")
    options = parser.parse_args()
    dvae = load_dvae(options.model)
    config = dvae.config
    rows = []
    for letter in ("U", "S", "C"):
        pictures = _pictures(PictureSet.open(getattr(options, PROTOCOLS[letter].set_name)), letter)
        found = reconstruction_figures(dvae, pictures)
        means = _means(pictures, config.image_size, config.grid_size)
        figures = [
            f"{found['PSNR']:.1f}",
            f"{found['SSIM']:.3f}",
            f"{found['usage']:.0%}",
            f"{found['perplexity']:.0f}",
        ]
        rows.append([letter, PROTOCOLS[letter].what, len(pictures), *figures, *means])
    head = ["pictures of", "what", "count", "PSNR (dB)", "SSIM", "codes used", "perplexity"]
    table = markdown_table([*head, "means of places: PSNR (dB)", "SSIM"], rows)
    body = (
        f"{table}\n\n{config.image_size} pixels, {config.grid_size} x {config.grid_size} codes of {config.num_codes}."
    )
    print(write_result(options.name, __doc__.splitlines()[0], body).read_text())
    if options.model in SHIPPED:
        show_figures(resolve(options.model) / "README.md", table)


def _pictures(pictures: PictureSet, letter: str) -> list[Image.Image]:
    table = pictures.rows(COLUMNS)
    rows = PROTOCOLS[letter].rows(table)
    return [decode_picture(picture) for picture in pictures.pictures(rows)]


def _means(pictures: list[Image.Image], image_size: int, grid_size: int) -> list[str]:
    values: list[tuple[torch.Tensor, torch.Tensor]] = []
    for start in range(0, len(pictures), _BATCH_SIZE):
        images = stack_images(pictures[start : start + _BATCH_SIZE], image_size)
        means = functional.adaptive_avg_pool2d(images, grid_size)
        drawn = functional.interpolate(means, scale_factor=image_size // grid_size)
        values.append((psnr(images, drawn), ssim(images, drawn)))
    decibels, likeness = (float(torch.cat(each).mean()) for each in zip(*values, strict=True))
    return [f"{decibels:.1f}", f"{likeness:.3f}"]


if __name__ == "__main__":
    main()
