"""Do our dVAEs keep more of pictures than DALLE-pytorch's DiscreteVAE, at equal size, in equal time?

    python benchmarks/dvae.py --data SET [--minutes 10] [--peer own --peer annealed] [--sheet kept.png]

All learn from the same training pictures of 64 pixels, mirrored at random, as grids of 8 x 8 codes of 512; the peer is
made as wide as gives it as many parameters as ours. Each has the same processor time for its steps; ours reads and
decodes its pictures in that time, the peer finds them in an array. Ours is the recipe `dvae`, with its cosine
codebook, and with a dense one as in the paper. The peer learns as its own script does (`own`: batches of 8, the rate
falling by 2 % every 100 steps, temperature from 1 to 0.5, no divergence); or, with its own loss, by the schedules of
our recipe (`annealed`: batches of 32, temperature from 1 to 1/4, the rate along a cosine); or so with one code a place
(`straight`). The same code judges what the likeliest codes keep of the test pictures.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.data.decoding import decode_picture, square
from limner.data.picture_set import PictureSet
from limner.data.pixels import images_of, pictures_of
from limner.data.sheet import contact_sheet
from limner.data.splitting import hash_share
from limner.evaluation.similarity import psnr, ssim
from limner.generation.drawer import load_dvae
from limner.objectives.dvae import use_of_codes
from limner.services.validation import open_sets
from peers import ensure_environment, measure
from record import markdown_table, write_result

_RUNNER = Path(__file__).parent / "peer" / "dalle_pytorch_runner.py"
_SIZE, _CODES = 64, 512
_TRIAL_STEPS = (10, 40)
_OURS: dict[str, dict[str, Any]] = {
    "limner dvae": {},
    "limner dvae, dense codes": {"model.codebook.kind": "dense"},
}
_PEERS: dict[str, dict[str, Any]] = {
    "own": {"schedule": "own", "batch_size": 8, "learning_rate": 1e-3},
    "annealed": {"schedule": "cosine", "batch_size": 32, "learning_rate": 2e-3},
    "straight": {"schedule": "cosine", "batch_size": 32, "learning_rate": 2e-3, "straight_through": True},
}
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trained dVAE: its size, what it took, and what is left of the test pictures, with their codes."""

    name: str
    num_parameters: int
    processor_seconds: float
    seconds: float
    num_steps: int
    left: torch.Tensor
    codes: torch.Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the picture set")
    parser.add_argument("--minutes", type=float, default=10, help="processor time of each training")
    parser.add_argument("--ours", action="append", choices=sorted(_OURS), help="default: all")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a setting for limner train")
    parser.add_argument("--peer", action="append", choices=sorted(_PEERS), help="default: own and annealed")
    parser.add_argument("--peer-rate", type=float, help="another learning rate for the peer")
    parser.add_argument("--tests", type=int, default=1000, help="test pictures")
    parser.add_argument("--limit", type=int, help="training pictures; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/dvae"))
    parser.add_argument("--venv", type=Path, default=Path("benchmarks/work/dalle-venv"))
    parser.add_argument("--sheet", type=Path, help="where test pictures and what is left stand; default: in --work")
    options = parser.parse_args()
    python = ensure_environment(options.venv, "dalle-")
    train, test = export(options)
    seconds = 60 * options.minutes
    rows = [train_ours(options, name, seconds, test) for name in options.ours or _OURS]
    rows += [
        train_peer(options, python, kind, seconds, rows[0].num_parameters, train, test)
        for kind in options.peer or ("own", "annealed")
    ]
    show(rows, test, options.sheet or options.work / "kept.png")
    report(rows, test, options)


def export(options: argparse.Namespace) -> tuple[Path, np.ndarray]:
    """Write the pictures that Limner would train on as one array, and return its path and the test pictures."""
    (pictures,), (chosen,), _ = open_sets([options.data])
    path = options.work / f"train-{len(chosen) if options.limit is None else options.limit}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, squares(pictures, chosen[: options.limit].tolist()))
    held_out = pictures.rows(["id"], splits=["test"]).to_pylist()
    ordered = sorted(held_out, key=lambda entry: hash_share(entry["id"]))
    return path, squares(pictures, [entry["_row"] for entry in ordered[: options.tests]])


def squares(pictures: PictureSet, rows: Sequence[int]) -> np.ndarray:
    return np.stack([np.asarray(square(decode_picture(each), _SIZE)) for each in pictures.pictures(rows)])


def train_ours(options: argparse.Namespace, name: str, seconds: float, test: np.ndarray) -> Row:
    """Train for as many steps as fit into the time at the pace of two short runs, and send test pictures through."""

    def run(num_steps: int, label: str) -> tuple[float, float, Path]:
        folder = options.work / name.replace(" ", "-").replace(",", "") / label
        shutil.rmtree(folder, ignore_errors=True)
        settings = {"loop.num_steps": num_steps, "loop.validate_every": num_steps, "loop.save_every": num_steps}
        settings |= {"loop.warmup_steps": min(40, num_steps), **_OURS[name]}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        words += [word for setting in options.settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "limner.cli", "train", "dvae", "--data", str(options.data), *words]
        found = measure([*command, "--out", str(folder)], threads=options.threads, log=folder.with_suffix(".log"))
        return found.processor_seconds, found.seconds, folder

    short, long = (statistics.median(run(steps, "trial")[0] for _ in range(2)) for steps in _TRIAL_STEPS)
    pace = max(long - short, 1e-3) / (_TRIAL_STEPS[1] - _TRIAL_STEPS[0])
    num_steps = max(1, int(seconds / pace))
    taken, wall, folder = run(num_steps, "whole")
    dvae = load_dvae(folder)
    with torch.inference_mode():
        codes = torch.cat([dvae.codes(batch) for batch in images_of(list(test)).split(64)])
        left = torch.cat([dvae.decode(batch) for batch in codes.split(64)])
    return Row(
        name=name,
        num_parameters=sum(parameter.numel() for parameter in dvae.parameters()),
        processor_seconds=taken - max(short - _TRIAL_STEPS[0] * pace, 0.0),
        seconds=wall,
        num_steps=num_steps,
        left=left,
        codes=codes,
    )


def train_peer(
    options: argparse.Namespace,
    python: Path,
    kind: str,
    seconds: float,
    num_parameters: int,
    train: Path,
    test: np.ndarray,
) -> Row:
    """Train the peer of the width that makes it as large, and send test pictures through."""
    folder = options.work / f"peer-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = dict(_PEERS[kind])
    straight = settings.pop("straight_through", False)
    config, tests = folder / "config.json", folder / "tests.npy"

    model = {"image_size": _SIZE, "num_tokens": _CODES, "num_layers": 3, "num_resnet_blocks": 2}
    model |= {"straight_through": straight}
    config.write_text(json.dumps({"model": model, "num_parameters": num_parameters}))
    done = subprocess.run([python, _RUNNER, "fit", config], capture_output=True, text=True, check=True)
    fitted = json.loads(done.stdout)
    model |= {"hidden_dim": fitted["width"], "codebook_dim": 2 * fitted["width"]}
    settings |= {"seconds": seconds, "threads": options.threads, "model": model}
    if options.peer_rate:
        settings["learning_rate"] = options.peer_rate
    config.write_text(json.dumps(settings, indent=2))
    found = measure(
        [str(python), str(_RUNNER), "learn", str(config), str(train), str(folder / "model.pt")],
        threads=options.threads,
        log=folder / "log",
    )
    learned = json.loads((folder / "log").read_text().splitlines()[-1])
    np.save(tests, test)
    command = [python, _RUNNER, "code", config, folder / "model.pt", tests, folder / "kept.npz"]
    subprocess.run(command, check=True)
    kept = np.load(folder / "kept.npz")
    return Row(
        name=f"DALLE-pytorch, {kind}",
        num_parameters=fitted["num_parameters"],
        processor_seconds=seconds,
        seconds=found.seconds,
        num_steps=learned["steps"],
        left=torch.from_numpy(kept["pictures"]),
        codes=torch.from_numpy(kept["codes"]),
    )


def show(rows: Sequence[Row], test: np.ndarray, out: Path) -> None:
    """Write a sheet with some test pictures in its first column, and what each dVAE leaves of them in the others."""
    images = images_of(list(test[:_SHOWN]))
    columns = [pictures_of(images), *(pictures_of(row.left[:_SHOWN]) for row in rows)]
    titles = ["", *(row.name for row in rows)]
    shown = [column[place] for place in range(len(images)) for column in columns]
    sheet = contact_sheet(shown, titles * len(images), columns=len(columns), cell=128)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)


def report(rows: Sequence[Row], test: np.ndarray, options: argparse.Namespace) -> None:
    """Write what is left of the test pictures, and the use of codes."""
    images = images_of(list(test))
    figures = [
        {
            "PSNR": float(psnr(images, row.left).mean()),
            "SSIM": float(
                torch.cat([ssim(*pair) for pair in zip(images.split(64), row.left.split(64), strict=True)]).mean()
            ),
            **{
                name: float(value)
                for name, value in use_of_codes(torch.bincount(row.codes.flatten(), minlength=_CODES)).items()
            },
        }
        for row in rows
    ]
    table = markdown_table(
        [
            "dVAE",
            "parameters",
            "processor minutes",
            "minutes",
            "steps",
            "PSNR (dB)",
            "SSIM",
            "codes used",
            "perplexity",
        ],
        [
            [
                row.name,
                f"{row.num_parameters:,}",
                f"{row.processor_seconds / 60:.1f}",
                f"{row.seconds / 60:.1f}",
                f"{row.num_steps:,}",
                f"{found['PSNR']:.2f}",
                f"{found['SSIM']:.3f}",
                f"{found['usage']:.1%}",
                f"{found['perplexity']:.0f}",
            ]
            for row, found in zip(rows, figures, strict=True)
        ],
    )
    theirs = [found for row, found in zip(rows, figures, strict=True) if row.name not in _OURS]
    best = {name: max(found[name] for found in theirs) for name in ("PSNR", "SSIM", "usage", "perplexity")}
    ours = figures[0]
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{table}\n\n"
        f"- beside the peer's best of each: PSNR {ours['PSNR'] - best['PSNR']:+.2f} dB, SSIM "
        f"{ours['SSIM'] - best['SSIM']:+.3f}, codes used {ours['usage'] - best['usage']:+.1%}\n\n"
        f"{len(test):,} test pictures of {options.data.name}."
    )
    print(write_result("dvae", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
