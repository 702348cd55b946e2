"""`limner train` as a user runs it: a real process, killed for real, resumed, and used."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.command import Command, finish, set_words, start
from tests.shapes import shape_records, write_shapes

from limner.data.captions import Captions
from limner.data.picture_set import Caption, PictureSet, Record
from limner.search.embedder import load_embedder
from limner.services import training
from limner.training.logging import read_log

SMALL = {
    "model.vision.image_size": "32",
    "model.text.transformer.depth": "1",
    "model.text.length": "16",
    "loader.batch_size": "16",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "24",
    "loop.warmup_steps": "4",
    "loop.save_every": "4",
    "loop.validate_every": "12",
    "loop.precision": "float32",
}


def words(recipe: str, data: Path, out: Path, **changes: str) -> list[str]:
    settings = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    options = set_words(settings)
    return ["train", recipe, "--data", str(data), "--out", str(out), *options]


def wait_for_steps(run: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while len(read_log(run)) < count and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("sets") / "shapes").path


@pytest.fixture(scope="module")
def finished(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    status, printed, err = finish(*words("clip", shapes, out), "--json")
    assert status == 0, err
    outcome = json.loads(printed)
    assert (
        outcome["steps"] == 24
        and outcome["before"] is None
        and set(outcome["after"]) == {"R@1", "R@5", "R@10", "MRR", "mAP"}
    )
    return out


def test_a_set_named_twice_is_read_twice_and_held_out_once(shapes: Path, tmp_path: Path) -> None:
    once = finish(*words("clip", shapes, tmp_path / "once", loop__num_steps="1"), "--json")
    twice = finish(*words("clip", shapes, tmp_path / "twice", loop__num_steps="1"), "--data", str(shapes), "--json")
    assert once[0] == twice[0] == 0, once[2] + twice[2]
    one, two = json.loads(once[1]), json.loads(twice[1])
    assert two["num_pictures"] == 2 * one["num_pictures"] and two["num_held_out"] == one["num_held_out"]


def test_a_new_run_reads_captions_and_builds_its_model_once(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, built = [], []
    captions, model = Captions.__init__, training.build_model
    monkeypatch.setattr(Captions, "__init__", lambda self, *given: read.append(0) or captions(self, *given))
    monkeypatch.setattr(training, "build_model", lambda *given: built.append(0) or model(*given))
    silent = {"report": lambda *_: None, "say": lambda _: None}
    settings = SMALL | {"loop.num_steps": "1"}
    training.start_run("clip", [shapes], tmp_path / "run", settings=settings, **silent)
    assert (len(read), len(built)) == (1, 1)


def test_a_run_leaves_a_model_a_log_and_events(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} >= {"best", "last", "log.jsonl", "run.json", "tensorboard"}
    steps = [line["step"] for line in read_log(finished) if "loss" in line]
    assert steps == list(range(1, 25))
    assert load_embedder(finished).embed_texts(["a red circle"]).shape == (1, 192)


def test_a_killed_run_resumes_to_the_same_weights(shapes: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    process = start(*words("clip", shapes, out), is_silent=True)
    wait_for_steps(out, 10)
    process.kill()
    process.wait()
    assert 10 <= len(read_log(out)) < 24
    status, _, err = finish("train", "--resume", out)
    assert status == 0, err
    whole, resumed = load_file(finished / "last/model.safetensors"), load_file(out / "last/model.safetensors")
    assert all((whole[name] == resumed[name]).all() for name in whole)
    assert [line["step"] for line in read_log(out) if "loss" in line] == list(range(1, 25))


def test_torchrun_trains_to_the_same_weights_after_a_rank_was_killed(shapes: Path, tmp_path: Path) -> None:
    status, _, err = finish(*words("clip", shapes, tmp_path / "whole"), num_processes=2)
    assert status == 0, err
    out = tmp_path / "run"
    process = start(*words("clip", shapes, out), is_silent=True, num_processes=2)
    wait_for_steps(out, 10)
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    assert process.wait(timeout=120) != 0
    assert 10 <= len(read_log(out)) < 24
    status, printed, err = finish("train", "--resume", out, "--json", num_processes=2)
    assert status == 0, err
    assert json.loads(printed)["steps"] == 24, "one process speaks"
    assert [line["step"] for line in read_log(out) if "loss" in line] == list(range(1, 25))
    whole, resumed = load_file(tmp_path / "whole/last/model.safetensors"), load_file(out / "last/model.safetensors")
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_a_batch_that_cannot_be_divided_over_the_processes_is_told(shapes: Path, tmp_path: Path) -> None:
    status, _, err = finish(*words("clip", shapes, tmp_path / "run", loader__batch_size="15"), num_processes=2)
    assert status != 0 and "loader.batch_size 15 cannot be divided over 2 processes; give a multiple" in err
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_train_one_run(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = start(*words("clip", shapes, out, loop__num_steps="2000"), is_silent=True)
    wait_for_steps(out, 2)
    status, printed, err = finish("train", "--resume", out)
    assert (status, printed, first.poll()) == (1, "", None)
    assert f"another process trains {out}" in err
    first.kill()
    first.wait()
    assert len(read_log(out)) >= 2 and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_is_told_and_the_run_goes_on_with_more_room(shapes: Path, finished: Path, tmp_path: Path) -> None:
    status, out, err = finish(*words("clip", shapes, tmp_path / "run"), disk_blocks=512)
    assert (status, out) == (1, "") and "error: the disk is full" in err and "Traceback" not in err
    status, _, err = finish("train", "--resume", tmp_path / "run")
    assert status == 0, err
    assert (
        load_file(tmp_path / "run/last/model.safetensors").keys()
        == load_file(finished / "last/model.safetensors").keys()
    )


def test_an_export_that_finds_no_room_leaves_nothing(finished: Path, tmp_path: Path) -> None:
    status, out, err = finish("export", finished, tmp_path / "model", disk_blocks=512)
    assert (status, out) == (1, "") and "error: the disk is full" in err
    assert list(tmp_path.iterdir()) == []
    assert finish("export", finished, tmp_path / "model")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_fine_tuning_says_what_it_was_before_and_after(
    limner: Command, shapes: Path, finished: Path, tmp_path: Path
) -> None:
    status, out, err = limner(*words("clip", shapes, tmp_path / "tuned"), "--from", finished, "--json")
    assert status == 0, err
    outcome = json.loads(out)
    assert "before:" in err and "after:" in err
    assert outcome["got_worse"] == (outcome["after"]["R@1"] < outcome["before"]["R@1"])
    assert ("WORSE" in err) == outcome["got_worse"]


def test_a_run_that_is_tuned_steps_by_adamw_and_one_that_goes_on_by_the_optimiser_of_its_recipe(
    limner: Command, shapes: Path, finished: Path, tmp_path: Path
) -> None:
    muon = {}
    for continues in ("false", "true"):
        out = tmp_path / continues
        run = words("clip", shapes, out, continues=continues, loop__num_steps="1")
        status, _, err = limner(*run, "--from", finished)
        assert status == 0, err
        muon[continues] = json.loads((out / "run.json").read_text())["run"]["loop"]["optimizer"]["muon"]
    assert muon == {"false": {}, "true": {"vision": 4.0, "text.transformer": 4.0}}
    status, _, err = limner(*words("clip", shapes, tmp_path / "alone", continues="true"))
    assert status == 2 and "name it with --from" in err and not (tmp_path / "alone").exists()


def test_many_languages_read_alike_are_told_and_weighed_ones_are_not(tmp_path: Path) -> None:
    languages = ("en", "ru", "de", "fr", "it")
    records = (
        replace(record, captions=tuple(Caption(text=record.concept, language=each) for each in languages))
        for record in shape_records()
    )
    data = PictureSet.write(tmp_path / "set", records).path
    told = [
        finish(*words("clip", data, tmp_path / out, loop__num_steps="4", **weights))[2]
        for out, weights in (("alike", {}), ("weighed", {"loader__captions__languages": '{"en": 4, "*": 0.1}'}))
    ]
    assert "captions of 5 languages are read alike" in told[0] and "--set 'loader.captions.languages=" in told[0]
    assert "read alike" not in told[1]


def test_one_picture_can_be_trained_on(limner: Command, tmp_path: Path) -> None:
    PictureSet.write(tmp_path / "one", list(shape_records())[:1])
    status, _, err = limner(*words("clip-vit", tmp_path / "one", tmp_path / "run", loop__num_steps="3"))
    assert status == 0, err
    assert "nothing is held out" in err
    assert load_embedder(tmp_path / "run").embed_texts(["x"]).shape == (1, 192)


def without_captions(folder: Path) -> Path:
    bare = [Record(id=record.id, picture=record.picture) for record in shape_records()]
    return PictureSet.write(folder / "bare", bare).path


def test_wrong_usage_is_one_sentence_and_leaves_nothing(
    limner: Command, shapes: Path, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    cases = {
        "unknown recipe 'clop'": (words("clop", shapes, run), 2),
        "unknown key 'loop.stpes'": ([*words("clip", shapes, run), "--set", "loop.stpes=1"], 2),
        "--set takes name=value": ([*words("clip", shapes, run), "--set", "loop"], 2),
        "there is no picture set": (words("clip", tmp_path / "nowhere", run), 1),
        "not empty": (words("clip", shapes, finished), 2),
        "is not a model": ([*words("clip", shapes, run), "--from", str(tmp_path)], 1),
        "has a caption": (words("clip", without_captions(tmp_path), run), 1),
        "no picture to train on": ([*words("clip", without_captions(tmp_path), run), "--from", str(finished)], 1),
        "begins no parameter": ([*words("clip", shapes, run), "--set", 'loop.optimizer.rates={"eyes": 0}'], 2),
        "not a run": (["train", "--resume", str(tmp_path)], 1),
        "give a recipe": (["train"], 2),
        "--data": (["train", "clip", "--out", str(run)], 2),
    }
    for sentence, (arguments, status) in cases.items():
        found, out, err = limner(*arguments)
        assert (found, out) == (status, ""), (sentence, err)
        assert sentence in err and "Traceback" not in err
        assert not run.exists()


def test_another_seed_gives_another_run_from_the_same_weights(
    finished: Path, shapes: Path, tmp_path: Path, limner: Command
) -> None:
    changes = {"loop.num_steps": "4", "loop.warmup_steps": "1"}
    for name, seed in (("first", "0"), ("same", "0"), ("other", "1")):
        options = set_words({**SMALL, **changes, "loop.seed": seed})
        status, _, err = limner(
            "train", "clip", "--from", finished, "--data", shapes, "--out", tmp_path / name, *options
        )
        assert status == 0, err
    weights = [load_file(tmp_path / name / "last" / "model.safetensors") for name in ("first", "same", "other")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert any((weights[0][name] != weights[2][name]).any() for name in weights[0])
