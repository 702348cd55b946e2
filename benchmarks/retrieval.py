"""Does Limner find more than open_clip, trained on the same pictures, for as long, with as many parameters?

    python benchmarks/retrieval.py --data SET [--data SET ...] --minutes 30 [--precision bfloat16]

Both start from random weights and read the same training pictures, English captions and tags, in the same number
format. Each learns for the same time, one after the other on the same machine; how many steps that is comes from short
runs made in turns before. open_clip trains with its own code; each of its models and learning rates gets the whole
time, and its best figure counts. The same code judges both on unseen concepts (U) and on seen concepts in an unseen
style (S).
"""

import argparse
import json
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from limner.data.picture_set import PictureSet
from limner.evaluation.intervals import Estimate
from limner.search.embedder import Embedder, load_embedder
from limner.services.evaluating import judge_protocol
from open_clip_peer import PeerEmbedder, count_parameters, export, train_command, write_config
from peers import Measured, ensure_environment, measure
from record import markdown_table, write_result

_TEXT = {"context_length": 32, "width": 128, "heads": 4, "layers": 3}
_PEERS = {
    "vit": {
        "embed_dim": 192,
        "vision_cfg": {"image_size": 48, "patch_size": 6, "width": 128, "head_width": 32, "layers": 4},
        "text_cfg": _TEXT,
    },
    "resnet": {
        "embed_dim": 192,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 12, "head_width": 32},
        "text_cfg": _TEXT,
    },
}
_TRIAL_STEPS = (20, 60)
_PEER_PRECISIONS = {"float32": "fp32", "bfloat16": "amp_bf16"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trained model: its name, size, time and figures by protocol."""

    name: str
    num_parameters: int
    measured: Measured
    figures: dict[str, dict[str, Estimate]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a picture set to train on")
    parser.add_argument("--minutes", type=float, default=30, help="training time of each model")
    parser.add_argument("--recipe", default="clip")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a setting for limner train")
    parser.add_argument("--peer", action="append", choices=sorted(_PEERS), help="open_clip's model; default: both")
    parser.add_argument("--peer-rate", type=float, action="append", help="open_clip's learning rate; default: 1e-3")
    parser.add_argument("--batch-size", type=int, default=192)
    parser.add_argument("--precision", choices=sorted(_PEER_PRECISIONS), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="that Limner shares the threads out to, by torchrun")
    parser.add_argument("--test", type=Path, help="the set that the protocols are of; default: the first of --data")
    parser.add_argument("--protocol", action="append", help="default: U and S")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/retrieval"))
    parser.add_argument("--venv", type=Path, default=Path("benchmarks/work/peer-venv"))
    options = parser.parse_args()
    python = ensure_environment(options.venv)
    table = export(options.data, options.work / "pictures", size=64)
    num_lines = len(table.read_text(encoding="utf-8").splitlines()) - 1

    limner = Limner(options)
    num_parameters = limner.count_parameters()
    peers = [
        Peer(options, python, table, num_lines, num_parameters, kind, rate)
        for kind in options.peer or sorted(_PEERS)
        for rate in options.peer_rate or [1e-3]
    ]
    paces = {runner.name: runner for runner in [limner, *peers]}
    seconds = _pace(list(paces.values()))
    rows = [runner.train(seconds[name], options.minutes * 60) for name, runner in paces.items()]
    _report(rows, options)


class Limner:
    """Training by `limner train`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.name = f"limner {options.recipe}"

    def count_parameters(self) -> int:
        """Return the size of the model that a run of one step writes."""
        self.run(1, "size")
        return _num_parameters(load_embedder(self._folder("size")))

    def run(self, num_steps: int, label: str, *, validate_every: int = 1_000_000) -> Measured:
        """Train for some steps and return what it took."""
        folder = self._folder(label)
        shutil.rmtree(folder, ignore_errors=True)
        settings = {
            "loop.num_steps": num_steps,
            "loop.warmup_steps": max(1, min(100, num_steps // 10)),
            "loop.validate_every": min(validate_every, num_steps),
            "loop.save_every": num_steps,
            "loop.precision": self.options.precision,
            "loader.batch_size": self.options.batch_size,
            "loader.captions.languages": json.dumps({"en": 1.0, "": 1.0}),
            # open_clip's table has a line of tags beside each caption.
            "loader.captions.tag_rate": 0.5,
        }
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        words += [word for setting in self.options.settings for word in ("--set", setting)]
        words += [word for path in self.options.data for word in ("--data", str(path))]
        processes = self.options.processes
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "limner.cli"]
        command += ["train", self.options.recipe, *words, "--out", str(folder)]
        log = self.options.work / f"limner-{label}.log"
        return measure(command, threads=self.options.threads // processes, log=log)

    def train(self, pace: tuple[float, float], seconds: float) -> Row:
        """Train for a time at a known pace, and judge."""
        num_steps = max(1, int((seconds - pace[0]) / pace[1]))
        measured = self.run(num_steps, "whole", validate_every=max(200, num_steps // 4))
        embedder = load_embedder(self._folder("whole"))
        return Row(
            name=self.name,
            num_parameters=_num_parameters(embedder),
            measured=measured,
            figures=_judge(embedder, self.options),
        )

    def _folder(self, label: str) -> Path:
        return self.options.work / "limner" / label


class Peer:
    """Training by open_clip's own code."""

    def __init__(
        self,
        options: argparse.Namespace,
        python: Path,
        table: Path,
        num_lines: int,
        num_parameters: int,
        kind: str,
        rate: float,
    ) -> None:
        self.options, self.python, self.table, self.num_lines, self.rate = options, python, table, num_lines, rate
        self.name = f"open_clip {kind}, rate {rate:g}"
        self.config = write_config(
            options.work / "configs" / f"limner-peer-{kind}.json",
            num_parameters=num_parameters,
            python=python,
            model=_PEERS[kind],
        )
        self.num_parameters = count_parameters(python, self.config)
        if abs(self.num_parameters / num_parameters - 1) > 0.1:
            raise SystemExit(f"{self.name} has {self.num_parameters:,} parameters and Limner {num_parameters:,}")

    def run(self, num_steps: int, label: str) -> Measured:
        """Train for some steps and return what it took."""
        per_epoch = self.num_lines // self.options.batch_size
        table, epochs = self.table, max(1, round(num_steps / per_epoch))
        if num_steps < per_epoch:
            lines = self.table.read_text(encoding="utf-8").splitlines()[: 1 + num_steps * self.options.batch_size]
            table = self.table.with_name(f"first-{num_steps}.tsv")
            table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        out = self._folder(label)
        shutil.rmtree(out, ignore_errors=True)
        command = train_command(
            self.python,
            self.config,
            table,
            out,
            batch_size=self.options.batch_size,
            epochs=epochs,
            lr=self.rate,
            wd=0.1,
            warmup=max(1, min(100, num_steps // 10)),
            grad_clip_norm=1.0,
            precision=_PEER_PRECISIONS[self.options.precision],
        )
        return measure(command, threads=self.options.threads, log=out.with_suffix(".log"))

    def train(self, pace: tuple[float, float], seconds: float) -> Row:
        """Train for a time at a known pace, and judge."""
        measured = self.run(max(1, math.ceil((seconds - pace[0]) / pace[1])), "whole")
        checkpoint = self._folder("whole") / "checkpoints" / "epoch_latest.pt"
        embedder = PeerEmbedder(self.python, self.config, checkpoint, threads=self.options.threads)
        try:
            figures = _judge(embedder, self.options)
        finally:
            embedder.close()
        return Row(name=self.name, num_parameters=self.num_parameters, measured=measured, figures=figures)

    def _folder(self, label: str) -> Path:
        return self.options.work.resolve() / "open_clip" / f"{self.config.stem}-{self.rate:g}-{label}"


def _pace(runners: list[Limner | Peer]) -> dict[str, tuple[float, float]]:
    """Return for each runner the seconds that a run takes at all and those that a step takes.

    Measured in turns, and the shorter of two counts: other work on the machine only ever adds to them.
    """
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(2):
        for runner in runners:
            for num_steps in _TRIAL_STEPS:
                measured = runner.run(num_steps, "trial")
                seconds.setdefault((runner.name, num_steps), []).append(measured.seconds)
    paces = {}
    for runner in runners:
        short, long = (min(seconds[runner.name, num_steps]) for num_steps in _TRIAL_STEPS)
        step = max((long - short) / (_TRIAL_STEPS[1] - _TRIAL_STEPS[0]), 1e-3)
        paces[runner.name] = (max(short - step * _TRIAL_STEPS[0], 0.0), step)
    return paces


def _judge(embedder: Embedder, options: argparse.Namespace) -> dict[str, dict[str, Estimate]]:
    pictures = PictureSet.open(options.test or options.data[0])
    return {
        protocol: judge_protocol(embedder, pictures, protocol).retrieval.text_to_picture
        for protocol in options.protocol or ["U", "S"]
    }


def _report(rows: list[Row], options: argparse.Namespace) -> None:
    protocols = list(rows[0].figures)
    table = markdown_table(
        [
            "model",
            "parameters",
            "minutes",
            "processor minutes",
            *(f"{p} {name}" for p in protocols for name in ("R@1", "R@10", "MRR")),
        ],
        [
            [
                row.name,
                f"{row.num_parameters:,}",
                f"{row.measured.seconds / 60:.1f}",
                f"{row.measured.processor_seconds / 60:.1f}",
                *(_cell(row.figures[p][name]) for p in protocols for name in ("R@1", "R@10", "MRR")),
            ]
            for row in rows
        ],
    )
    ours, *theirs = rows
    ratios = [
        f"- {p}: R@1 is {ours.figures[p]['R@1'].mean / best:.2f} times that of open_clip's best"
        for p in protocols
        if (best := max(row.figures[p]["R@1"].mean for row in theirs)) > 0
    ]
    body = f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n{table}\n\n" + "\n".join(ratios)
    body += "\n\nPercent with 95 % intervals. Learned from: " + ", ".join(path.name for path in options.data) + "."
    print(write_result("retrieval", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


def _cell(figure: Estimate) -> str:
    return f"{100 * figure.mean:.1f} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"


def _num_parameters(embedder: Embedder) -> int:
    return sum(parameter.numel() for parameter in embedder.model.parameters())


if __name__ == "__main__":
    main()
