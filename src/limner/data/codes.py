"""Pictures as a dVAE's codes, computed once and kept on disk: batches of captions and codes."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from limner.data.loader import CaptionedLoader, read_ahead
from limner.errors import DataError, system_errors
from limner.types import CodesBatch

__all__ = ["CodeRows", "CodeTable", "CodesLoader"]

CodeRows = Int32[np.ndarray, "items views places"]

_STREAM = 3


class CodeTable:
    """The codes of several views of every picture, in a folder of parts that are each whole or absent."""

    def __init__(self, folder: Path, *, num_items: int, part_size: int = 1024) -> None:
        self.folder, self.num_items, self.part_size = folder, num_items, part_size

    def missing(self) -> Iterator[tuple[int, range]]:
        """Yield the number of each part that is not there yet, and its items."""
        for number, start in enumerate(range(0, self.num_items, self.part_size)):
            if not self._path(number).is_file():
                yield number, range(start, min(start + self.part_size, self.num_items))

    def write(self, number: int, codes: CodeRows) -> None:
        """Keep a part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(number).with_suffix(".partial")
        with system_errors(partial):
            save_file({"codes": np.ascontiguousarray(codes)}, partial)
        partial.replace(self._path(number))

    def read(self) -> CodeRows:
        """Return all parts.

        Raises:
            DataError: if one is missing or damaged.
        """
        numbers = range(-(-self.num_items // self.part_size))
        try:
            return np.concatenate([load_file(self._path(number))["codes"] for number in numbers])
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise DataError(f"{self.folder} is damaged ({error}); remove it, and it is made again") from None

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.safetensors"


class CodesLoader:
    """The stream of a `CaptionedLoader` with codes in place of pixels: those of one view, drawn by the element."""

    def __init__(self, loader: CaptionedLoader, codes: CodeRows) -> None:
        self.loader, self.codes = loader, codes

    def __len__(self) -> int:
        """Return the number of pictures of one epoch."""
        return len(self.loader)

    @property
    def num_truncated(self) -> int:
        """How many texts were cut to fit."""
        return self.loader.num_truncated

    @property
    def num_broken(self) -> int:
        """How many pictures could not be decoded."""
        return self.loader.num_broken

    def batches(self, start: int) -> Iterator[CodesBatch]:
        """Yield the batches from number `start` on, without end."""
        return read_ahead(self.batch, count(start), self.loader.config)

    def batch(self, number: int) -> CodesBatch:
        """Return batch `number`."""
        elements, items = self.loader.elements(number)
        seeds = [(self.loader.config.seed, element) for element in elements]
        tokens, _ = self.loader.texts(items, seeds)
        rows = self.codes[items, [self._view(seed) for seed in seeds]]
        return CodesBatch(tokens=tokens, codes=torch.from_numpy(rows).long())

    def _view(self, seed: Sequence[int]) -> int:
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([*seed, _STREAM])))
        return int(generator.integers(self.codes.shape[1]))
