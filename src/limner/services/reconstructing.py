"""Send pictures through the codes of a dVAE, and show what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from limner.data.decoding import square
from limner.data.pixels import pictures_of, stack_images
from limner.data.progress import Report
from limner.data.sheet import check_sheet, save_sheet
from limner.evaluation.similarity import psnr, ssim
from limner.generation.drawer import load_dvae
from limner.objectives.dvae import use_of_codes
from limner.services.picture_files import find_files, none_readable, read_files

__all__ = ["ReconstructedPicture", "Reconstruction", "check_sheet", "draw_sheet", "reconstruct_pictures"]

_BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class ReconstructedPicture:
    """A picture file, the square that the model saw, what is left of it, and how alike the two are."""

    path: Path
    original: Image.Image
    drawn: Image.Image
    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """The pictures in the order given, those that could not be read with the reason, and how many codes were used."""

    pictures: tuple[ReconstructedPicture, ...]
    skipped: dict[Path, str]
    num_codes: int
    usage: float

    @property
    def psnr(self) -> float:
        """The mean over the pictures, in decibels."""
        return sum(entry.psnr for entry in self.pictures) / len(self.pictures)

    @property
    def ssim(self) -> float:
        """The mean over the pictures."""
        return sum(entry.ssim for entry in self.pictures) / len(self.pictures)

    def to_json(self) -> dict[str, Any]:
        """Return figures, pictures and skipped files as JSON values."""
        return {
            "psnr": self.psnr,
            "ssim": self.ssim,
            "num_codes": self.num_codes,
            "usage": self.usage,
            "pictures": [{"path": str(entry.path), "psnr": entry.psnr, "ssim": entry.ssim} for entry in self.pictures],
            "skipped": [{"path": str(path), "reason": reason} for path, reason in self.skipped.items()],
        }


@torch.inference_mode()
def reconstruct_pictures(model: str | Path, places: Sequence[Path], *, report: Report | None = None) -> Reconstruction:
    """Return what is left of picture files, and of the pictures in folders; unreadable ones are skipped and named.

    Raises:
        ModelError: if the model is no dVAE, missing or damaged.
        UsageError: for a picture set among the places.
        PictureError: if no file can be read.
    """
    paths = find_files(places, remedy="reconstruct takes files and folders")
    dvae = load_dvae(model)
    size = dvae.config.image_size
    skipped: dict[Path, str] = {}
    squares = [square(picture, size) for picture in read_files(paths, skipped, report, at_least=size)]
    read = [path for path in paths if path not in skipped]
    if not read:
        raise none_readable(skipped)
    counts = torch.zeros(dvae.config.num_codes, dtype=torch.int64)
    found: list[ReconstructedPicture] = []
    for start in range(0, len(read), _BATCH_SIZE):
        part = squares[start : start + _BATCH_SIZE]
        images = stack_images(part, size)
        codes = dvae.codes(images)
        counts += torch.bincount(codes.flatten(), minlength=len(counts))
        drawn = dvae.decode(codes)
        figures = zip(psnr(images, drawn).tolist(), ssim(images, drawn).tolist(), strict=True)
        rows = zip(read[start : start + _BATCH_SIZE], part, pictures_of(drawn), figures, strict=True)
        found += [
            ReconstructedPicture(path=path, original=original, drawn=picture, psnr=noise, ssim=structure)
            for path, original, picture, (noise, structure) in rows
        ]
    usage = float(use_of_codes(counts)["usage"])
    return Reconstruction(pictures=tuple(found), skipped=skipped, num_codes=len(counts), usage=usage)


def draw_sheet(found: Reconstruction, out: Path) -> None:
    """Write a contact sheet with each picture beside what is left of it."""
    pictures = [picture for entry in found.pictures for picture in (entry.original, entry.drawn)]
    titles = [title for entry in found.pictures for title in (entry.path.name, f"{entry.psnr:.1f} dB")]
    save_sheet(pictures, titles, out)
