"""Runs inside the peer's environment: DALLE-pytorch's own DiscreteVAE and DALLE.

    dalle_pytorch_runner.py fit CONFIG                   print the width that gives a DiscreteVAE so many parameters
    dalle_pytorch_runner.py learn CONFIG PICTURES OUT    train one on an array of pictures until its time is over
    dalle_pytorch_runner.py code CONFIG WEIGHTS PICTURES OUT   write the codes of pictures and what is left of them
    dalle_pytorch_runner.py speed CONFIG                 print how long training steps and drawings of a DALLE take

CONFIG is a JSON file. The scripts that DALLE-pytorch trains with need an accelerator and an account for their logs, so
the loops stand here; model, loss and sampling are its own.
"""

import json
import math
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from own_memory import memory

# Imported by its loaders of published weights, none of which is used here.
_ABSENT = (
    "omegaconf", "packaging", "PIL", "pkg_resources", "requests", "taming", "taming.models", "taming.models.vqgan",
    "tqdm", "yaml",
)  # fmt: skip
sys.modules.update({_name: MagicMock() for _name in _ABSENT})

from dalle_pytorch import DALLE, DiscreteVAE  # noqa: E402

for _name in _ABSENT:
    del sys.modules[_name]

_BATCH_SIZE = 64


def fit(config: dict) -> None:
    """Among all widths, with codes twice as wide as in its own script."""
    sizes = {}
    with torch.device("meta"):
        for width in range(8, 385):
            model = DiscreteVAE(**config["model"], hidden_dim=width, codebook_dim=2 * width)
            sizes[width] = sum(parameter.numel() for parameter in model.parameters())
    width = min(sizes, key=lambda width: abs(sizes[width] - config["num_parameters"]))
    print(json.dumps({"width": width, "num_parameters": sizes[width]}))


def images_of(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def learn(config: dict, pictures: np.ndarray, out: Path) -> None:
    """Train until `seconds` of processor time are over; how far the schedules are is the share of these."""
    torch.manual_seed(0)
    model = DiscreteVAE(**config["model"])
    optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])
    rng = np.random.default_rng(0)
    order: list[int] = []
    temperature, step, started = 1.0, 0, time.process_time()
    while (progress := (time.process_time() - started) / config["seconds"]) < 1:
        while len(order) < config["batch_size"]:
            order += rng.permutation(len(pictures)).tolist()
        chosen, order = order[: config["batch_size"]], order[config["batch_size"] :]
        images = images_of(pictures[chosen])
        images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images, images.flip(3))
        if config["schedule"] == "own":
            if step % 100 == 0:
                temperature = max(temperature * math.exp(-1e-6 * step), 0.5)
            rate = config["learning_rate"] * 0.98 ** (step // 100 + 1)
        else:
            temperature = cosine(1.0, 1 / 4, progress / 0.85)
            rate = cosine(config["learning_rate"], 0.0, progress) * min(1.0, (step + 1) / 40)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = model(images, return_loss=True, temp=temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    torch.save(model.state_dict(), out)
    print(json.dumps({"steps": step, "loss": loss.item()}))


def cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


@torch.inference_mode()
def code(config: dict, weights: Path, pictures: np.ndarray, out: Path) -> None:
    model = DiscreteVAE(**config["model"])
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    codes, left = [], []
    for start in range(0, len(pictures), _BATCH_SIZE):
        codes.append(model.get_codebook_indices(images_of(pictures[start : start + _BATCH_SIZE])))
        # Its decoder speaks of pixels in [-1, 1], as its loss does.
        left.append((model.decode(codes[-1]) / 2 + 0.5).clamp(0, 1))
    np.savez(out, codes=torch.cat(codes).numpy(), pictures=torch.cat(left).numpy())


def speed(config: dict) -> None:
    """Train some steps and draw some pictures on random tokens; each is timed after one that is not."""
    torch.manual_seed(0)
    base = memory("VmRSS")
    vae = DiscreteVAE(
        image_size=2 * config["grid_size"],
        num_layers=1,
        num_tokens=config["num_codes"],
        codebook_dim=8,
        hidden_dim=8,
    )
    model = DALLE(
        dim=config["dim"],
        vae=vae,
        num_text_tokens=config["vocab_size"],
        text_seq_len=config["text_length"],
        depth=config["depth"],
        heads=config["num_heads"],
        dim_head=config["dim"] // config["num_heads"],
        attn_types=("full",),
    )
    tokens = torch.randint(1, config["vocab_size"], (config["batch_size"], config["text_length"]))
    codes = torch.randint(config["num_codes"], (config["batch_size"], config["grid_size"] ** 2))
    seconds = []
    if config["work"] == "train":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(config["num_steps"] + 1):
            started = time.perf_counter()
            # It changes the tokens that it is given.
            loss = model(tokens.clone(), codes, return_loss=True, null_cond_prob=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seconds.append(time.perf_counter() - started)
    else:
        model.eval()
        for count in (1, config["num_pictures"]):
            started = time.perf_counter()
            prompts = tokens[:1].repeat(count, 1)
            model.generate_images(prompts, cond_scale=config["guidance"], use_cache=config["use_cache"])
            seconds.append(time.perf_counter() - started)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    print(
        json.dumps(
            {
                "num_parameters": sum(parameter.numel() for parameter in trained),
                "seconds": seconds[1:],
                "peak": memory("VmHWM"),
                "grown": memory("VmHWM") - base,
            }
        )
    )


if __name__ == "__main__":
    command, config_path, *places = sys.argv[1:]
    settings = json.loads(Path(config_path).read_text())
    torch.set_num_threads(settings.get("threads", 1))
    if command == "fit":
        fit(settings)
    elif command == "learn":
        learn(settings, np.load(places[0]), Path(places[1]))
    elif command == "code":
        code(settings, Path(places[0]), np.load(places[1]), Path(places[2]))
    else:
        speed(settings)
