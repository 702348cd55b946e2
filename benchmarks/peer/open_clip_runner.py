"""Runs inside the peer's environment: open_clip's own model, tokenizer, transforms and training code.

    open_clip_runner.py count CONFIG            print the number of parameters
    open_clip_runner.py train CONFIG OPTION...  train with open_clip_train, options as its own command line takes them
    open_clip_runner.py embed CONFIG CHECKPOINT answer requests on standard input, one JSON object a line

CONFIG is an open_clip model config. The tokenizer is open_clip's, with the first merges of its table only if the config
asks for fewer tokens: merges are in the order of learning, so the front of the table is the smaller vocabulary.
"""

import gzip
import json
import os
import sys
from pathlib import Path

import torch

# torchvision's CUDA build registers fakes for two operators that its library for CPU lacks.
_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import numpy as np  # noqa: E402
import open_clip  # noqa: E402
from open_clip.tokenizer import default_bpe  # noqa: E402
from PIL import Image  # noqa: E402

_BYTES_AND_ENDS = 512
_START_AND_END = 2


def register(path: Path) -> str:
    """Make the config known to open_clip and return its name."""
    config = json.loads(path.read_text())
    table = path.with_suffix(".bpe.gz")
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    num_merges = config["text_cfg"]["vocab_size"] - _BYTES_AND_ENDS - _START_AND_END
    table.write_bytes(gzip.compress("\n".join(lines[: 1 + num_merges]).encode()))
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(table)}
    folder = path.parent / "registered"
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return path.stem


def count(name: str) -> None:
    model = open_clip.create_model(name)
    print(sum(parameter.numel() for parameter in model.parameters()))


def train(name: str, options: list[str]) -> None:
    from open_clip_train.main import main

    main(["--model", name, *options])


def embed(name: str, checkpoint: str) -> None:
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=checkpoint)
    model.eval()
    tokenizer = open_clip.get_tokenizer(name)
    for line in sys.stdin:
        request = json.loads(line)
        with torch.inference_mode():
            if "texts" in request:
                vectors = model.encode_text(tokenizer(request["texts"]), normalize=True)
            else:
                pictures = [Image.fromarray(pixels) for pixels in np.load(request["pictures"])]
                vectors = model.encode_image(torch.stack([transform(picture) for picture in pictures]), normalize=True)
        np.save(request["out"], vectors.float().numpy())
        print(json.dumps({"scale": float(model.logit_scale.exp())}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    command, config_path, *rest = sys.argv[1:]
    registered = register(Path(config_path).resolve())
    if command == "count":
        count(registered)
    elif command == "train":
        train(registered, rest)
    else:
        embed(registered, *rest)
