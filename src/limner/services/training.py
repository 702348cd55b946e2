"""Training runs: start one, go on with one, and say whether the model got better."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from limner.config import from_dict, override, to_dict
from limner.data.captions import Captions
from limner.data.lessons import Lessons
from limner.data.loader import CaptionedLoader
from limner.data.picture_set import PictureSet
from limner.data.progress import Report, Say
from limner.data.splitting import hold_out
from limner.data.tokenizer import Tokenizer
from limner.errors import DataError, TrainingError, UsageError
from limner.interop.efficientnet import load_efficientnet_lite0
from limner.models.checkpoints import load_model, resolve, save_model, write_file
from limner.models.clip import CLIP
from limner.nn.inverted_residual import InvertedResidualTrunk
from limner.objectives.base import Objective
from limner.objectives.clip import CLIPObjective
from limner.objectives.taught_clip import TaughtCLIPObjective, TaughtCLIPObjectiveConfig
from limner.recipes import RECIPES
from limner.recipes.base import Run
from limner.search.embedder import Embedder, load_embedder
from limner.services.teaching import build_lessons
from limner.services.validation import HeldOut
from limner.training.logging import RunLog
from limner.training.loop import Monitor
from limner.training.loop import train as run_loop
from limner.training.state import latest_state

__all__ = ["TrainingReport", "resume_run", "start_run"]

_RUN_FILE = "run.json"
_COLLAPSED = 0.95


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What a finished run reached on held-out captions; `before` is the model it started from, if any."""

    run: Path
    steps: int
    num_pictures: int
    num_held_out: int
    before: dict[str, float] | None
    after: dict[str, float]
    num_truncated: int

    @property
    def got_worse(self) -> bool:
        """Whether fine-tuning lost rank-1 hits on held-out captions."""
        return self.before is not None and self.after["R@1"] < self.before["R@1"]


def start_run(
    recipe: str,
    data: Sequence[Path],
    out: Path,
    *,
    initial: str | None = None,
    settings: Mapping[str, str] | None = None,
    report: Report,
    say: Say,
) -> TrainingReport:
    """Train a recipe on picture sets into the folder `out`.

    Raises:
        UsageError: for an unknown recipe or setting, no data, or an `out` that is not empty.
        DataError: if no picture to train on has a caption.
    """
    if recipe not in RECIPES:
        raise UsageError(f"unknown recipe '{recipe}'; known: {', '.join(sorted(RECIPES))}")
    if not data:
        raise UsageError("give the picture sets to train on with --data SET")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; go on with it by `limner train --resume {out}`, or choose another --out")
    run = RECIPES[recipe]()
    start = load_embedder(initial) if initial else None
    if start:
        run = replace(run, model=start.model.config)
    run = override(run, settings or {})
    sets, rows, _ = _open(data)
    captions = Captions(sets, rows, run.loader.captions)
    if not len(captions):
        raise DataError("no picture to train on has a caption; `limner data check` names those without")
    if start:
        tokenizer = start.tokenizer
    else:
        tokenizer = Tokenizer.train(captions.all_texts(), run.tokenizer)
        text = replace(run.model.text, vocab_size=tokenizer.vocab_size)
        run = replace(run, model=replace(run.model, text=text))
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out)
    values = {
        "recipe": recipe,
        "initial": str(resolve(initial)) if initial else None,
        "data": [str(path.resolve()) for path in data],
        "run": to_dict(run),
    }
    write_file(out / _RUN_FILE, json.dumps(values, indent=2) + "\n")
    return resume_run(out, report=report, say=say)


def resume_run(out: Path, *, report: Report, say: Say) -> TrainingReport:
    """Go on with a run from its newest saved state; a finished one is only reported.

    Raises:
        TrainingError: if `out` is not a run.
    """
    try:
        values = json.loads((out / _RUN_FILE).read_text(encoding="utf-8"))
        run = from_dict(Run, values["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{out} is not a run that can be resumed ({error}); start one with --out") from None
    sets, rows, held_out_rows = _open([Path(path) for path in values["data"]])
    tokenizer = Tokenizer.load(out)
    held_out = HeldOut(sets, held_out_rows, say=say)
    torch.manual_seed(run.loop.seed)
    model = CLIP(run.model)
    before = None
    if run.image_start:
        load_efficientnet_lite0(cast(InvertedResidualTrunk, model.vision))
    if values["initial"]:
        model.load_state_dict(load_model(values["initial"]).state_dict())
        before = held_out.figures(_embedder(model.eval(), tokenizer))
        say(f"before: {_sentence(before)}")
    config = run.model
    lessons = _lessons(run, sets, rows, out / "teacher.safetensors", say)
    if lessons and not values["initial"]:
        vectors = lessons.token_vectors(tokenizer, config.text.token_dim)
        model.text.tokens.weight.data.copy_(torch.from_numpy(vectors))
    loader = CaptionedLoader(
        sets,
        rows,
        tokenizer.with_dropout(run.tokenizer.dropout_rate),
        run.loader,
        image_size=config.vision.image_size,
        text_length=config.text.length,
        lessons=lessons,
    )
    say(f"training on {len(loader):,} pictures, validating on {len(held_out):,}")
    state = latest_state(out / "checkpoints")
    log = RunLog(out, step=int(state.name.removeprefix("step-")) if state else 0)
    monitor = _monitor(out, run, tokenizer, held_out, log, report=report, say=say)
    final = run_loop(
        _objective(model, run),
        loader.batches,
        run.loop,
        folder=out / "checkpoints",
        monitor=monitor,
    )
    log.close()
    _save(out / "last", final, tokenizer)
    chosen = load_embedder(out)
    outcome = TrainingReport(
        run=out,
        steps=run.loop.num_steps,
        num_pictures=len(loader),
        num_held_out=len(held_out),
        before=before,
        after=held_out.figures(chosen),
        num_truncated=loader.num_truncated,
    )
    _tell(outcome, loader, say)
    return outcome


def _open(data: Sequence[Path]) -> tuple[list[PictureSet], list[Any], list[Any]]:
    """Return the sets with their training and held-out rows; a set named twice is read twice and held out once."""
    sets = [PictureSet.open(path) for path in data]
    splits = [hold_out(pictures.rows(["id", "group", "split"])) for pictures in sets]
    held_out = [
        rows if data.index(path) == place else rows[:0]
        for place, (path, (_, rows)) in enumerate(zip(data, splits, strict=True))
    ]
    return sets, [train for train, _ in splits], held_out


def _lessons(run: Run, sets: list[PictureSet], rows: list[Any], memory: Path, say: Say) -> Lessons | None:
    if not isinstance(run.objective, TaughtCLIPObjectiveConfig):
        return None
    lessons = build_lessons(Captions(sets, rows, run.loader.captions), memory)
    say(f"{len(lessons):,} lessons from the teacher of words")
    return lessons


def _objective(model: CLIP, run: Run) -> Objective:
    if isinstance(run.objective, TaughtCLIPObjectiveConfig):
        return TaughtCLIPObjective(model, run.objective)
    return CLIPObjective(model, run.objective)


def _monitor(
    out: Path, run: Run, tokenizer: Tokenizer, held_out: HeldOut, log: RunLog, *, report: Report, say: Say
) -> Monitor:
    warned: set[str] = set()

    def on_log(step: int, metrics: dict[str, float]) -> None:
        log.write(step, metrics)
        if "loss" in metrics:
            report(step, run.loop.num_steps, f"loss {metrics['loss']:.3f}, accuracy {metrics['accuracy']:.2f}")
            for side in ("image", "text"):
                late = step > run.loop.warmup_steps and side not in warned
                if late and metrics[f"{side}_likeness"] > _COLLAPSED:
                    warned.add(side)
                    say(
                        f"warning: all {side} embeddings have become alike (mean cosine "
                        f"{metrics[f'{side}_likeness']:.2f}); try a lower loop.optimizer.learning_rate"
                    )
        elif metrics:
            say(f"step {step}: {_sentence({name.split('/')[1]: value for name, value in metrics.items()})}")

    def validate(model: nn.Module) -> dict[str, float]:
        return held_out.figures(_embedder(model, tokenizer)) if len(held_out) else {}

    return Monitor(log=on_log, validate=validate, keep=lambda model, _: _save(out / "best", model, tokenizer))


def _embedder(model: nn.Module, tokenizer: Tokenizer) -> Embedder:
    assert isinstance(model, CLIP)
    return Embedder(model, tokenizer, name="run")


def _save(folder: Path, model: nn.Module, tokenizer: Tokenizer) -> None:
    tokenizer.save(folder)
    save_model(folder, model)


def _sentence(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _tell(outcome: TrainingReport, loader: CaptionedLoader, say: Say) -> None:
    if outcome.num_truncated:
        say(f"{outcome.num_truncated:,} captions were longer than the model reads and were cut")
    if loader.num_broken:
        say(f"{loader.num_broken:,} pictures could not be decoded; `limner data check` names them")
    say(f"after: {_sentence(outcome.after)}")
    if outcome.got_worse:
        say(
            "warning: the fine-tuned model is WORSE than the one it started from on held-out captions; keep the old one"
        )
