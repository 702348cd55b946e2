"""Pictures as a dVAE's codes, computed once and kept on disk: batches of captions and codes."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from limner.data.loader import CaptionedLoader, read_ahead
from limner.errors import DataError, system_errors
from limner.types import CodesBatch

__all__ = ["CodeRows", "CodeTable", "CodedPictures", "CodesLoader"]

CodeRows = Int32[np.ndarray, "items views places"]
EmbeddingRows = Float32[np.ndarray, "items views embed_dim"]

_STREAM = 3


class CodedPictures(NamedTuple):
    """The codes of several views of every picture and, where a CLIP says what they show, its embeddings."""

    codes: CodeRows
    embeddings: EmbeddingRows | None = None


class CodeTable:
    """Coded pictures in a folder of parts that are each whole or absent."""

    def __init__(self, folder: Path, *, num_items: int, part_size: int = 1024) -> None:
        self.folder, self.num_items, self.part_size = folder, num_items, part_size

    def missing(self) -> Iterator[tuple[int, range]]:
        """Yield the number of each part that is not there yet, and its items."""
        for number, start in enumerate(range(0, self.num_items, self.part_size)):
            if not self._path(number).is_file():
                yield number, range(start, min(start + self.part_size, self.num_items))

    def write(self, number: int, part: CodedPictures) -> None:
        """Keep a part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(number).with_suffix(".partial")
        with system_errors(partial):
            arrays = {name: array for name, array in part._asdict().items() if array is not None}
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial)
        partial.replace(self._path(number))

    def read(self) -> CodedPictures:
        """Return all parts.

        Raises:
            DataError: if one is missing or damaged.
        """
        numbers = range(-(-self.num_items // self.part_size))
        try:
            parts = [load_file(self._path(number)) for number in numbers]
            return CodedPictures(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise DataError(f"{self.folder} is damaged ({error}); remove it, and it is made again") from None

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.safetensors"


class CodesLoader:
    """The stream of a `CaptionedLoader` with codes in place of pixels: those of one view, drawn by the element."""

    def __init__(self, loader: CaptionedLoader, coded: CodedPictures) -> None:
        self.loader = loader
        self.codes, self.embeddings = coded

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
        num_views = self.codes.shape[1]
        views = [self._view(seed) for seed in seeds]
        tints = [self.loader.tint_of_view(item, view, num_views) for item, view in zip(items, views, strict=True)]
        tokens, _ = self.loader.texts(items, seeds, tints)
        embeddings = None if self.embeddings is None else torch.from_numpy(self.embeddings[items, views])
        return CodesBatch(tokens=tokens, codes=torch.from_numpy(self.codes[items, views]).long(), embeddings=embeddings)

    def _view(self, seed: Sequence[int]) -> int:
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([*seed, _STREAM])))
        return int(generator.integers(self.codes.shape[1]))
