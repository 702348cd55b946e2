"""How many steps a second does a DALL-E train, and how many codes a second does it draw, beside DALLE-pytorch?

    python benchmarks/dalle_speed.py

The same sizes in both: width, depth, heads, lengths and vocabularies, all attention full, float32, AdamW, gradients
clipped, text dropped from a tenth of the examples; our perceptrons are 6 times as wide as the model, where its gated
ones are 4 times, which makes as many multiplications. Random tokens; they take turns (A B A B ...), each turn in a
process of its own. Drawing is with guidance: many pictures of one prompt, from its tokens to pixels, the dVAE being so
small that it takes no noticeable time. DALLE-pytorch draws as it does unless told otherwise, and with its cache, with
which its logits are not those without: what is drawn without the text then reads a cache that holds the text.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from peer.own_memory import memory
from peers import ensure_environment
from record import markdown_table, write_result

_RUNNER = Path(__file__).parent / "peer" / "dalle_pytorch_runner.py"
_OURS, _PEER, _CACHED = "limner", "DALLE-pytorch", "DALLE-pytorch, use_cache=True"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="training steps of a turn")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pictures", type=int, default=8, help="drawings of a turn")
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--text-length", type=int, default=16)
    parser.add_argument("--grid-size", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--codes", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/dalle_speed"))
    parser.add_argument("--venv", type=Path, default=Path("benchmarks/work/dalle-venv"))
    parser.add_argument("--turn", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(turn_of_ours(json.loads(options.turn.read_text()))))
        return
    python = ensure_environment(options.venv, "dalle-")
    settings = {
        "dim": options.dim,
        "depth": options.depth,
        "num_heads": options.heads,
        "text_length": options.text_length,
        "grid_size": options.grid_size,
        "vocab_size": options.vocabulary,
        "num_codes": options.codes,
        "batch_size": options.batch_size,
        "num_steps": options.steps,
        "num_pictures": options.pictures,
        "guidance": options.guidance,
        "threads": options.threads,
    }
    ours, peer = [sys.executable, str(Path(__file__)), "--turn"], [str(python), str(_RUNNER), "speed"]
    ways: dict[tuple[str, str], tuple[list[str], dict[str, Any]]] = {
        ("train", _OURS): (ours, {}),
        ("train", _PEER): (peer, {}),
        ("draw", _OURS): (ours, {}),
        ("draw", _PEER): (peer, {"use_cache": False}),
        ("draw", _CACHED): (peer, {"use_cache": True}),
    }
    turns: dict[tuple[str, str], list[dict[str, Any]]] = {way: [] for way in ways}
    options.work.mkdir(parents=True, exist_ok=True)
    for _ in range(options.turns):
        for (work, name), (command, changes) in ways.items():
            place = options.work / "turn.json"
            place.write_text(json.dumps(settings | changes | {"work": work}))
            environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "CUDA_VISIBLE_DEVICES": ""}
            done = subprocess.run(
                [*command, str(place)], stdout=subprocess.PIPE, text=True, check=True, env=environment
            )
            turns[work, name].append(json.loads(done.stdout.splitlines()[-1]))
            print(work, name, turns[work, name][-1], flush=True)
    report(turns, settings)


def turn_of_ours(settings: dict[str, Any]) -> dict[str, Any]:
    """Train some steps or draw some pictures on random tokens; each is timed after one that is not."""
    import torch

    from limner.generation.autoregressive import draw_codes
    from limner.generation.sampling import Sampling
    from limner.models.dalle import DALLE, DALLEConfig, WordsConfig
    from limner.models.dvae import DVAE, DVAEConfig
    from limner.nn.bottleneck import BottleneckConfig
    from limner.nn.transformer import TransformerConfig
    from limner.objectives.dalle import DALLEObjective, DALLEObjectiveConfig
    from limner.types import CodesBatch

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    base = memory("VmRSS")
    sizes = {name: settings[name] for name in ("dim", "depth", "num_heads")}
    model = DALLE(
        DALLEConfig(
            text=WordsConfig(
                vocab_size=settings["vocab_size"], length=settings["text_length"], token_dim=settings["dim"]
            ),
            num_codes=settings["num_codes"],
            grid_size=settings["grid_size"],
            transformer=TransformerConfig(**sizes, mlp_ratio=6),
            attention=("full",),
            last_attention="full",
        )
    )
    tokens = torch.randint(3, settings["vocab_size"], (settings["batch_size"], settings["text_length"]))
    codes = torch.randint(settings["num_codes"], (settings["batch_size"], model.num_places))
    seconds = []
    if settings["work"] == "train":
        objective = DALLEObjective(model, DALLEObjectiveConfig(drop_rate=0.1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(settings["num_steps"] + 1):
            started = time.perf_counter()
            loss = objective(CodesBatch(tokens=tokens, codes=codes), step).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seconds.append(time.perf_counter() - started)
    else:
        network = BottleneckConfig(hidden_dim=8, num_groups=2, num_blocks=1, code_dim=8)
        dvae = DVAE(
            DVAEConfig(image_size=2 * settings["grid_size"], num_codes=settings["num_codes"], network=network)
        ).eval()
        model.eval()
        how = Sampling(guidance=settings["guidance"], top_k=settings["num_codes"] // 2)
        for count in (1, settings["num_pictures"]):
            started = time.perf_counter()
            seeds = [(0, number) for number in range(count)]
            drawn = draw_codes(model, tokens[:1].expand(count, -1), seeds, how, batch_size=count)
            with torch.inference_mode():
                dvae.decode(drawn.view(count, settings["grid_size"], settings["grid_size"]))
            seconds.append(time.perf_counter() - started)
    return {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": seconds[1:],
        "peak": memory("VmHWM"),
        "grown": memory("VmHWM") - base,
    }


def report(turns: dict[tuple[str, str], list[dict[str, Any]]], settings: dict[str, Any]) -> None:
    """Write rates, memory and their ratios."""
    drawn = settings["num_pictures"] * settings["grid_size"] ** 2
    rates = {
        (work, name): [
            1 / statistics.median(turn["seconds"]) if work == "train" else drawn / turn["seconds"][0] for turn in found
        ]
        for (work, name), found in turns.items()
    }
    peaks = {way: max(turn["peak"] for turn in found) for way, found in turns.items()}
    grown = {way: max(turn["grown"] for turn in found) for way, found in turns.items()}
    rows = [
        [
            {"train": "training, steps/s", "draw": "drawing, codes/s"}[work],
            name,
            f"{found[0]['num_parameters']:,}",
            f"{statistics.median(rates[work, name]):.3g}",
            " ".join(f"{rate:.3g}" for rate in rates[work, name]),
            f"{peaks[work, name]:.0f}",
            f"{grown[work, name]:.0f}",
        ]
        for (work, name), found in turns.items()
    ]
    head = ["", "", "parameters", "median", "each turn", "peak MiB", "of these above what imports take"]
    lines = []
    for work, name in [way for way in turns if way[1] != _OURS]:
        ratios = [ours / theirs for ours, theirs in zip(rates[work, _OURS], rates[work, name], strict=True)]
        lines.append(
            f"- {'training' if work == 'train' else 'drawing'}: {statistics.median(ratios):.2f} times as fast as {name}"
            f" (turn by turn: {', '.join(f'{ratio:.2f}' for ratio in ratios)}), with "
            f"{peaks[work, _OURS] / peaks[work, name]:.2f} times the memory, "
            f"{grown[work, _OURS] / grown[work, name]:.2f} times of it above what imports take"
        )
    shown = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    body = f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{markdown_table(head, rows)}\n\n" + "\n".join(lines)
    body += f"\n\nSizes: {shown}."
    print(write_result("dalle_speed", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
