"""open_clip as a peer: its training on exported pictures, and its trained model as an embedder."""

import csv
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.splitting import hold_out
from limner.search.embedder import Embedder, Vectors
from peers import environment

__all__ = [
    "PeerEmbedder",
    "count_parameters",
    "export",
    "train_command",
    "write_config",
]

_HERE = Path(__file__).parent / "peer"
_RUNNER = _HERE / "open_clip_runner.py"
_PICTURE_SIZE = 128
_SMALLEST_VOCABULARY = 1024
_LARGEST_VOCABULARY = 49408


def export(sets: Sequence[Path], folder: Path, *, size: int, languages: Sequence[str] = ("en", "")) -> Path:
    """Write the pictures that Limner would train on as PNG files, and a table with one line a text; return its path.

    A picture has a line for each caption, and one for its tags together.
    """
    table = folder / "train.tsv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[tuple[str, str]] = []
    for which, path in enumerate(sets):
        pictures = PictureSet.open(path)
        rows, _ = hold_out(pictures.rows(["id", "group", "split"]))
        for row, record in zip(rows.tolist(), pictures.records(rows.tolist()), strict=True):
            texts = [caption.text for caption in record.captions if caption.language in languages]
            tags = ", ".join(tag.text for tag in record.tags if tag.language in languages)
            file = (folder / f"{which}-{row}.png").resolve()
            if texts:
                square(decode_picture(record.picture), size).save(file)
                lines += [(str(file), " ".join(text.split())) for text in [*texts, *([tags] if tags else [])]]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerows([("filepath", "title"), *lines])
    return table


def write_config(path: Path, *, num_parameters: int, python: Path, model: dict[str, Any]) -> Path:
    """Write a model config whose vocabulary is chosen so that the model has about `num_parameters`; return the path.

    Raises:
        ValueError: if the rest of the model leaves no room for a vocabulary, or it would be larger than open_clip's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    width = model["text_cfg"]["width"]
    smallest = {**model, "text_cfg": {**model["text_cfg"], "vocab_size": _SMALLEST_VOCABULARY}}
    path.write_text(json.dumps(smallest, indent=2))
    vocab_size = _SMALLEST_VOCABULARY + (num_parameters - count_parameters(python, path)) // width
    if not _SMALLEST_VOCABULARY <= vocab_size <= _LARGEST_VOCABULARY:
        raise ValueError(f"{path.stem}: no vocabulary makes {num_parameters:,} parameters (it would be {vocab_size:,})")
    smallest["text_cfg"]["vocab_size"] = vocab_size
    path.write_text(json.dumps(smallest, indent=2))
    return path


def count_parameters(python: Path, config: Path) -> int:
    """Return how many parameters open_clip gives a model config."""
    found = subprocess.run([python, _RUNNER, "count", config], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[-1])


def train_command(python: Path, config: Path, table: Path, out: Path, **options: object) -> list[str]:
    """Return the command that trains with open_clip's own code; options are those of its command line."""
    settings: dict[str, object] = {
        "train-data": table,
        "dataset-type": "csv",
        "device": "cpu",
        "precision": "fp32",
        "workers": 0,
        "logs": out.parent,
        "name": out.name,
        "save-frequency": 100_000,
        "log-every-n-steps": 10,
    } | {name.replace("_", "-"): value for name, value in options.items()}
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    return [str(python), str(_RUNNER), "train", str(config), *words, "--save-most-recent"]


class PeerEmbedder(Embedder):
    """A checkpoint of open_clip behind Limner's interface, so that the same code judges both."""

    def __init__(self, python: Path, config: Path, checkpoint: Path, *, threads: int) -> None:
        self.name = checkpoint.parent.parent.name
        self.fingerprint = str(checkpoint)
        self.embed_dim = int(json.loads(config.read_text())["embed_dim"])
        self._scale = 1.0
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [python, _RUNNER, "embed", config, checkpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(threads),
        )

    @property
    def image_size(self) -> int:
        """The side of the squares that the peer's own transform is given, in pixels."""
        return _PICTURE_SIZE

    @property
    def scale(self) -> float:
        """The learned factor from cosines to scores."""
        return self._scale

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text."""
        parts = [self._ask({"texts": list(texts[start : start + 64])}) for start in range(0, len(texts), 64)]
        return np.concatenate(parts)

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Return one unit vector a picture, padded to a square on white and then put through open_clip's transform."""
        path = Path(self._folder.name, "pictures.npy")
        np.save(path, np.stack([np.asarray(square(picture, _PICTURE_SIZE)) for picture in pictures]))
        return self._ask({"pictures": str(path)})

    def close(self) -> None:
        """End the peer's process."""
        self._process.communicate()
        self._folder.cleanup()

    def _ask(self, request: dict[str, Any]) -> Vectors:
        out = Path(self._folder.name, "vectors.npy")
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request | {"out": str(out)}) + "\n")
        self._process.stdin.flush()
        self._scale = json.loads(self._process.stdout.readline())["scale"]
        return np.load(out)
