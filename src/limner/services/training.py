"""Training runs: start one, go on with one, and say whether the model got better."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from limner.config import from_dict, override, to_dict
from limner.data.captions import Captions
from limner.data.picture_set import PictureSet
from limner.data.progress import Report, Say
from limner.data.tokenizer import Tokenizer
from limner.errors import LimnerError, TrainingError, UsageError
from limner.generation.drawer import DVAE_FOLDER, load_dvae
from limner.interop.sentence_teacher import SentenceTeacher
from limner.models.checkpoints import load_model, new_folder, resolve, save_model, write_file
from limner.models.relevance import reads_texts
from limner.recipes import RECIPES
from limner.recipes.base import Run
from limner.search.calibrate import write_calibration
from limner.search.embedder import Embedder
from limner.search.reranker import load_reranker
from limner.services.calibrating import calibrate, describe
from limner.services.courses import COURSES, Course, Material
from limner.services.starting import (
    Start,
    build_model,
    dvae_of,
    has_other_codes,
    load_start,
    save_beside,
    speaker_of,
    with_codes_of,
    with_sizes_of,
    with_speaker,
    with_vocabulary,
    without_muon,
)
from limner.services.teaching import words_of
from limner.services.validation import HeldOut, open_sets
from limner.training.distributed import own_rank, wait_for_all_ranks
from limner.training.logging import RunLog
from limner.training.loop import Monitor
from limner.training.loop import train as run_loop
from limner.training.state import latest_state, latest_step

__all__ = ["TrainingReport", "help_run", "resume_run", "start_run"]

_RUN_FILE = "run.json"
_DECIDED_FIRST = ("model.kind", "continues")
"""Settings on which it depends what a run takes over from the model that it starts from."""
_COLLAPSED = 0.95
_FEW_CODES = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What a finished run reached on what is held out; `before` is the model it started from, if any.

    `judge` names the figure of which less is worse.
    """

    run: Path
    steps: int
    num_pictures: int
    num_held_out: int
    before: dict[str, float] | None
    after: dict[str, float]
    num_truncated: int
    kind: str
    judge: str

    @property
    def got_worse(self) -> bool:
        """Whether fine-tuning lost rank-1 hits, or what else judges a run of this kind, on what is held out."""
        return self.before is not None and self.after[self.judge] < self.before[self.judge]


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """What a run trains with, read and built once: a new one learns its tokenizer from the same captions."""

    run: Run
    sets: Sequence[PictureSet]
    rows: Sequence[np.ndarray]
    held_out_rows: Sequence[np.ndarray]
    captions: Captions | None
    start: Start | None
    start_folder: Path | None
    speaker: Embedder | None
    model: nn.Module


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
    run, start = _asked(recipe, initial, settings or {})
    _check_parts(run)
    dvae = dvae_of(run, start)
    if dvae is not None:
        run = with_codes_of(run, dvae)
        if start and has_other_codes(start, dvae):
            say(f"warning: {start.name} learned the codes of another dVAE than the one named; it starts nearly anew")
    sets, rows, held_out_rows = open_sets(data)
    captions = _captions(run, sets, rows)
    run, speaker = with_speaker(run, start, say=say)
    knows_words = start or speaker
    known = knows_words.tokenizer if knows_words else None
    tokenizer = known or _new_tokenizer(run, captions)
    if tokenizer is not None:
        run = with_vocabulary(run, tokenizer, is_new=known is None)
    ready = _Ready(
        run=run,
        sets=sets,
        rows=rows,
        held_out_rows=held_out_rows,
        captions=captions,
        start=start,
        start_folder=resolve(initial) if initial else None,
        speaker=speaker,
        model=build_model(run, start, speaker),  # refuses sizes that do not fit before anything is written
    )
    values = {
        "recipe": recipe,
        "initial": str(resolve(initial).resolve()) if initial else None,
        "data": [str(path.resolve()) for path in data],
        "run": to_dict(run),
    }
    with new_folder(out) as draft:
        if tokenizer is not None:
            tokenizer.save(draft)
        if dvae is not None:
            save_model(draft / DVAE_FOLDER, dvae)
        write_file(draft / _RUN_FILE, json.dumps(values, indent=2) + "\n")
    with _alone(out):
        try:
            return _go_on(out, ready, report=report, say=say)
        except LimnerError:
            if latest_state(out / "checkpoints") is None:  # nothing is lost, and the folder is free for another try
                shutil.rmtree(out, ignore_errors=True)
            raise


def _asked(recipe: str, initial: str | None, settings: Mapping[str, str]) -> tuple[Run, Start | None]:
    """Return the run of a recipe as the settings change it, fit for the model that it starts from, and that."""
    run = override(RECIPES[recipe](), {name: settings[name] for name in _DECIDED_FIRST if name in settings})
    if run.continues and not initial:
        raise UsageError(f"the recipe '{recipe}' goes on from another run: name it with --from")
    start = load_start(run, initial) if initial else None
    if start is not None:
        run = with_sizes_of(run, start)
        run = run if run.continues else without_muon(run)
    if "loop.seed" in settings:  # the order of pictures goes with it, or a run from given weights would be the same
        settings = {"loader.seed": settings["loop.seed"], **settings}
    run = override(run, settings)
    if run.loop.start_share and start is None:
        raise UsageError(
            "loop.start_share is of the weights that a run starts from: name a model with --from, or leave it"
        )
    return run, start


def _captions(run: Run, sets: Sequence[PictureSet], rows: Sequence[np.ndarray]) -> Captions | None:
    """Read what the pictures are called, once for all that asks; None where pictures alone are seen."""
    return None if run.tokenizer is None else Captions(sets, rows, run.loader.captions)


def _new_tokenizer(run: Run, captions: Captions | None) -> Tokenizer | None:
    """Return a tokenizer that learned the captions, and the words of a teacher if there is one; None without words."""
    if run.tokenizer is None or captions is None:
        return None
    words = words_of(SentenceTeacher().vocabulary) if run.objective.kind.startswith("taught") else []
    return Tokenizer.train(captions.all_texts() + words, run.tokenizer)


def resume_run(out: Path, *, report: Report, say: Say) -> TrainingReport:
    """Go on with a run from its newest saved state; a finished one is only reported.

    Raises:
        TrainingError: if `out` is not a run, or another process trains it.
    """
    with _alone(out):
        ready = _read(out)
        _check_parts(ready.run)
        return _go_on(out, ready, report=report, say=say)


def help_run(out: Path) -> None:
    """Be another process that torchrun started: bring this one's part of every batch, until the run has ended."""
    wait_for_all_ranks()  # until the first has made the run's folder
    material = _material(out, _read(out), report=_silent, say=_silent)
    wait_for_all_ranks()  # until the first has kept what is worked out before the first step
    course = COURSES[material.run.objective.kind](material)
    nothing = Monitor(log=_silent, validate=lambda _: {}, keep=_silent)
    run_loop(course.objective, course.batches, material.run.loop, folder=out / "checkpoints", monitor=nothing)


def _silent(*told: object) -> None:
    """Say nothing: the first process does."""


def _check_parts(run: Run) -> None:
    num_ranks = own_rank().count
    if run.loader.batch_size % num_ranks:
        raise UsageError(
            f"loader.batch_size {run.loader.batch_size} cannot be divided over {num_ranks} processes; give a multiple"
        )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Be the only process that trains a run."""
    try:
        descriptor = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise TrainingError(f"{out} is not a run that can be resumed ({error}); start one with --out") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"another process trains {out}; wait until it has ended") from None
        yield
    finally:
        os.close(descriptor)


def _read(out: Path) -> _Ready:
    """Make ready again what a run started with."""
    try:
        values = json.loads((out / _RUN_FILE).read_text(encoding="utf-8"))
        run = from_dict(Run, values["run"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrainingError(f"{out} is not a run that can be resumed ({error}); start one with --out") from None
    sets, rows, held_out_rows = open_sets([Path(path) for path in values["data"]])
    start = load_start(run, values["initial"]) if values["initial"] else None
    speaker = speaker_of(run)
    return _Ready(
        run=run,
        sets=sets,
        rows=rows,
        held_out_rows=held_out_rows,
        captions=_captions(run, sets, rows),
        start=start,
        start_folder=resolve(values["initial"]) if values["initial"] else None,
        speaker=speaker,
        model=build_model(run, start, speaker),
    )


def _material(out: Path, ready: _Ready, *, report: Report, say: Say) -> Material:
    run = ready.run
    return Material(
        out=out,
        run=run,
        sets=ready.sets,
        rows=ready.rows,
        held_out=HeldOut(ready.sets, ready.held_out_rows, say=say, captioned=run.tokenizer is not None),
        captions=ready.captions,
        words=Tokenizer.load(out) if run.tokenizer is not None else None,
        model=ready.model,
        dvae=load_dvae(out / DVAE_FOLDER) if run.drawing else None,
        speaker=ready.speaker,
        start=ready.start,
        start_folder=ready.start_folder,
        report=report,
        say=say,
    )


def _go_on(out: Path, ready: _Ready, *, report: Report, say: Say) -> TrainingReport:
    run, start = ready.run, ready.start
    wait_for_all_ranks()
    material = _material(out, ready, report=report, say=say)
    course = COURSES[run.objective.kind](material)
    before = course.figures(start.model) if start else None
    if before:
        say(f"before: {_sentence(before)}")
    wait_for_all_ranks()
    say(f"training on {len(course.loader):,} {course.what}, validating on {len(material.held_out):,} pictures")
    with closing(RunLog(out, step=latest_step(out / "checkpoints"))) as log:
        final = run_loop(
            course.objective,
            course.batches,
            run.loop,
            folder=out / "checkpoints",
            monitor=_monitor(material, course, log, report=report),
        )
    _save(out / "last", final, material, course)
    after = course.figures(load_model(out))
    outcome = TrainingReport(
        run=out,
        steps=run.loop.num_steps,
        num_pictures=len(course.loader) if course.what == "pictures" else 0,
        num_held_out=len(material.held_out),
        before=before or None,
        after=after,
        num_truncated=course.loader.num_truncated,
        kind=run.model.kind,
        judge="R@1" if "R@1" in after else course.judge,
    )
    _tell(outcome, course.loader.num_broken, say)
    if course.asks and len(material.held_out) and (run.ranking is None or run.ranking.document == "picture"):
        found = calibrate(load_reranker(out), material.held_out, asks=course.asks)
        write_calibration(resolve(out), found)
        say("; ".join(["calibrated", *describe(found)]))
    return outcome


def _monitor(material: Material, course: Course, log: RunLog, *, report: Report) -> Monitor:
    run, say = material.run, material.say
    warned: set[str] = set()

    def on_log(step: int, metrics: dict[str, float]) -> None:
        log.write(step, metrics)
        if "loss" in metrics:
            shown = [f"{name} {metrics[name]:.3f}" for name in ("loss", "accuracy") if name in metrics]
            report(step, run.loop.num_steps, ", ".join(shown))
            if step > run.loop.num_steps // 2 and metrics.get("usage", 1.0) < _FEW_CODES and "usage" not in warned:
                warned.add("usage")
                say(
                    f"warning: only {metrics['usage']:.0%} of the codes are in use; try model.codebook.kind=cosine "
                    "and objective.revive_after=20"
                )
            for side in ("image", "text"):
                late = step > run.loop.warmup_steps and side not in warned
                if late and metrics.get(f"{side}_likeness", 0.0) > _COLLAPSED:
                    warned.add(side)
                    say(
                        f"warning: all {side} embeddings have become alike (mean cosine "
                        f"{metrics[f'{side}_likeness']:.2f}); try a lower loop.optimizer.learning_rate"
                    )
        elif metrics:
            say(f"step {step}: {_sentence({name.split('/')[1]: value for name, value in metrics.items()})}")

    def keep(model: nn.Module, step: int) -> None:
        _save(material.out / "best", model, material, course)

    return Monitor(log=on_log, validate=course.figures, keep=keep, judge=course.judge)


def _save(folder: Path, model: nn.Module, material: Material, course: Course) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if material.words is not None and reads_texts(model):
        material.words.save(folder)
    save_beside(folder, course.objective)
    if material.dvae is not None:
        save_model(folder / DVAE_FOLDER, material.dvae)
    save_model(folder, model)


def _sentence(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _tell(outcome: TrainingReport, num_broken: int, say: Say) -> None:
    if outcome.num_truncated:
        say(f"{outcome.num_truncated:,} captions were longer than the model reads and were cut")
    if num_broken:
        say(f"{num_broken:,} pictures could not be decoded; `limner data check` names them")
    say(f"after: {_sentence(outcome.after)}")
    if outcome.got_worse:
        say("warning: the fine-tuned model is WORSE than the one it started from on what is held out; keep the old one")
