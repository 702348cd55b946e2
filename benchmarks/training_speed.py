"""How many pictures a second does training see, and how much memory does it need, beside open_clip?

    python benchmarks/training_speed.py --data SET

The same architecture in both: a vision transformer with a class token and a text transformer, equal depths, widths,
heads, picture size, text length and batch size, float32, AdamW, no patch dropped. They take turns (A B A B ...); the
rate is that of the second half of each run's steps, loading included; memory is the most that all processes of a run
held. open_clip runs with and without loader processes, and its faster way counts.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from limner.search.embedder import load_embedder
from open_clip_peer import count_parameters, export, train_command
from peers import ensure_environment, measure
from record import markdown_table, write_result

_IMAGE_SIZE, _PATCH_SIZE, _LENGTH, _VOCABULARY = 64, 8, 32, 8192
_DIM, _DEPTH, _HEADS, _EMBED_DIM = 192, 6, 3, 192
_TEXT_DEPTH = 4


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run: pictures a second and MiB."""

    rate: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a picture set to train on")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/training_speed"))
    parser.add_argument("--venv", type=Path, default=Path("benchmarks/work/peer-venv"))
    options = parser.parse_args()
    python = ensure_environment(options.venv)
    table = _first_lines(export(options.data, options.work / "pictures", size=_IMAGE_SIZE), options)
    _limner(options)
    vocab_size = load_embedder(options.work / "limner").tokenizer.vocab_size
    config = _write_peer_config(options.work / "limner-speed-peer.json", vocab_size)
    ways = {
        "limner": lambda: _limner(options),
        "open_clip": lambda: _open_clip(options, python, config, table, workers=0),
        "open_clip, 2 loader processes": lambda: _open_clip(options, python, config, table, workers=2),
    }
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, way in ways.items():
            turns[name].append(way())
            print(name, turns[name][-1], flush=True)
    sizes = {
        "limner": sum(p.numel() for p in load_embedder(options.work / "limner").model.parameters()),
        "open_clip": count_parameters(python, config),
    }
    _report(turns, sizes)


def _limner(options: argparse.Namespace) -> Turn:
    folder = options.work / "limner"
    shutil.rmtree(folder, ignore_errors=True)
    vision = {"dim": _DIM, "depth": _DEPTH, "num_heads": _HEADS}
    settings = {
        "model.vision.image_size": _IMAGE_SIZE,
        "model.vision.patch_size": _PATCH_SIZE,
        "model.vision.patch_dropout_rate": 0.0,
        "model.vision.pooling": "class",
        **{f"model.vision.transformer.{name}": value for name, value in vision.items()},
        "model.text.length": _LENGTH,
        "model.text.token_dim": _DIM,
        "model.text.pooling": "end",
        "model.text.transformer.dim": _DIM,
        "model.text.transformer.depth": _TEXT_DEPTH,
        "model.text.transformer.num_heads": _HEADS,
        "model.embed_dim": _EMBED_DIM,
        "tokenizer.vocab_size": _VOCABULARY,
        "loader.batch_size": options.batch_size,
        "loop.num_steps": options.steps,
        "loop.warmup_steps": 5,
        "loop.precision": "float32",
        "loop.validate_every": options.steps,
        "loop.save_every": options.steps,
        "loader.captions.languages": json.dumps({"en": 1.0, "": 1.0}),
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += [word for path in options.data for word in ("--data", str(path))]
    command = [sys.executable, "-m", "limner.cli", "train", "clip-vit", *words, "--out", str(folder)]
    measured = measure(command, threads=options.threads, log=options.work / "limner.log")
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    seconds = [line["seconds"] for line in lines if "seconds" in line]
    return Turn(rate=options.batch_size / statistics.mean(seconds[len(seconds) // 2 :]), memory=measured.peak_memory)


def _open_clip(options: argparse.Namespace, python: Path, config: Path, table: Path, *, workers: int) -> Turn:
    out = options.work.resolve() / f"open_clip-{workers}"
    shutil.rmtree(out, ignore_errors=True)
    command = train_command(
        python,
        config,
        table,
        out,
        batch_size=options.batch_size,
        epochs=1,
        workers=workers,
        lr=1e-3,
        wd=0.1,
        warmup=5,
        grad_clip_norm=1.0,
        log_every_n_steps=1,
    )
    measured = measure(command, threads=options.threads, log=out.with_suffix(".log"))
    text = (out / "out.log").read_text()
    seconds = [float(found) for found in re.findall(r"Batch \(t\): ([0-9.]+)", text)]
    return Turn(rate=options.batch_size / statistics.mean(seconds[len(seconds) // 2 :]), memory=measured.peak_memory)


def _first_lines(table: Path, options: argparse.Namespace) -> Path:
    """Write as many lines as the steps of one run read, repeated if there are too few."""
    head, *lines = table.read_text(encoding="utf-8").splitlines()
    wanted = options.steps * options.batch_size
    lines = (lines * (wanted // len(lines) + 1))[:wanted]
    path = table.with_name("speed.tsv")
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def _write_peer_config(path: Path, vocab_size: int) -> Path:
    path.write_text(
        json.dumps(
            {
                "embed_dim": _EMBED_DIM,
                "vision_cfg": {
                    "image_size": _IMAGE_SIZE,
                    "patch_size": _PATCH_SIZE,
                    "width": _DIM,
                    "head_width": _DIM // _HEADS,
                    "layers": _DEPTH,
                },
                "text_cfg": {
                    "context_length": _LENGTH,
                    "vocab_size": vocab_size,
                    "width": _DIM,
                    "heads": _HEADS,
                    "layers": _TEXT_DEPTH,
                },
            },
            indent=2,
        )
    )
    return path


def _report(turns: dict[str, list[Turn]], sizes: dict[str, int]) -> None:
    rows = [
        [
            name,
            f"{sizes[name.split(',')[0]]:,}",
            f"{statistics.median(turn.rate for turn in found):.0f}",
            " ".join(f"{turn.rate:.0f}" for turn in found),
            f"{max(turn.memory for turn in found):.0f}",
        ]
        for name, found in turns.items()
    ]
    peers = {name: found for name, found in turns.items() if name != "limner"}
    quickest = max(peers, key=lambda name: statistics.median(turn.rate for turn in peers[name]))
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(turns["limner"], turns[quickest], strict=True)]
    smallest = min(max(turn.memory for turn in found) for found in peers.values())
    table = markdown_table(["training", "parameters", "pictures/s, median", "each turn", "peak MiB"], rows)
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{table}\n\n"
        f"- rate: {statistics.median(ratios):.2f} times that of {quickest} (turn by turn: "
        f"{', '.join(f'{ratio:.2f}' for ratio in ratios)})\n"
        f"- memory: {max(turn.memory for turn in turns['limner']) / smallest:.2f} times that of open_clip's smaller way"
    )
    print(write_result("training_speed", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
