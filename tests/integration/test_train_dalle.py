"""A DALL-E as a user trains it: on the codes of a dVAE, killed and resumed, and then drawn with."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.command import Command, finish, set_words, start
from tests.drawers import tiny_dvae, write_tiny_dvae
from tests.shapes import shape_records, write_shapes

from limner.data.picture_set import PictureSet
from limner.generation.drawer import load_drawer
from limner.models.checkpoints import save_model
from limner.search.embedder import load_embedder
from limner.training.logging import read_log

SMALL = {
    "model.transformer.dim": "32",
    "model.transformer.depth": "2",
    "model.transformer.num_heads": "2",
    "loader.batch_size": "16",
    "loader.num_threads": "1",
    "drawing.words": "",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "30",
    "loop.warmup_steps": "4",
    "loop.save_every": "5",
    "loop.validate_every": "15",
    "loop.precision": "float32",
    "loop.averaging_decay": "0.9",
    "loop.optimizer.learning_rate": "1e-2",
}


def words(data: Path, dvae: Path | None, out: Path, **changes: str) -> list[str]:
    settings = SMALL | ({"drawing.dvae": str(dvae)} if dvae else {})
    settings |= {name.replace("__", "."): value for name, value in changes.items()}
    options = set_words(settings)
    return ["train", "dalle", "--data", str(data), "--out", str(out), *options]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_shapes(made / "shapes")
    write_tiny_dvae(made / "dvae")
    return made


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    status, printed, err = finish(*words(folder / "shapes", folder / "dvae", folder / "run"), "--json")
    assert status == 0, err
    assert "encoding" in err and "3 views each" in err
    outcome = json.loads(printed)
    assert set(outcome["after"]) == {"text_nats", "picture_nats", "likelihood"}
    return folder / "run"


def test_it_learns_and_is_judged_by_what_held_out_pictures_cost(finished: Path) -> None:
    lines = read_log(finished)
    losses = [line["loss"] for line in lines if "loss" in line]
    judged = [line for line in lines if "validation/likelihood" in line]
    assert len(losses) == 30 and losses[-1] < 0.8 * losses[0] and len(judged) == 2
    for line in judged:
        assert line["validation/likelihood"] == -line["validation/picture_nats"], "what is drawn is what counts"


def test_it_begins_with_the_words_of_a_clip(limner: Command, folder: Path, tmp_path: Path) -> None:
    changes = {"drawing__words": "pictograms", "loop__num_steps": "2", "loop__averaging_decay": "0"}
    status, _, err = limner(*words(folder / "shapes", folder / "dvae", tmp_path / "run", **changes))
    assert status == 0, err
    drawer, clip = load_drawer(tmp_path / "run"), load_embedder("pictograms")
    assert (
        drawer.tokenizer.encode(["красный круг"], 8)[0].tolist()
        == clip.tokenizer.encode(["красный круг"], 8)[0].tolist()
    )
    learned, known = drawer.model.tokens.weight.detach(), clip.model.text.tokens.weight.detach()
    assert not torch.equal(learned, known) and float((learned - known).abs().max()) < 0.1 < float(known.std())
    meaning = drawer.model.meaning
    assert meaning is not None
    for part in ("text", "text_projection"):
        kept, own = (getattr(model, part).state_dict() for model in (meaning, clip.model))
        assert all(torch.equal(kept[name], own[name]) for name in own), "what words mean is not learned anew"


def test_a_run_that_starts_from_it_learns_from_pictures_too_if_it_knows_that_clip(
    folder: Path, finished: Path, tmp_path: Path
) -> None:
    """What pictures show is embedded by the CLIP whose words it knows, and left out for a DALL-E that knows none."""
    run, on, other = (tmp_path / name for name in ("run", "on", "other"))
    changes = {"drawing__words": "pictograms", "loop__num_steps": "2", "loop__averaging_decay": "0"}
    status, _, err = finish(*words(folder / "shapes", folder / "dvae", run, **changes))
    assert status == 0, err
    for begun, out, is_known in ((run, on, True), (finished, other, False)):
        status, _, err = finish(*going_on(folder / "shapes", begun, out))
        assert status == 0 and ("goes on from texts alone" in err) != is_known, err
        (part,) = (out / "codes").glob("*/*.safetensors")
        assert ("embeddings" in load_file(part)) == is_known
    assert finish("train", "--resume", on)[0] == 0


def test_words_of_a_model_without_words_are_refused(limner: Command, folder: Path, tmp_path: Path) -> None:
    status, _, err = limner(
        *words(folder / "shapes", folder / "dvae", tmp_path / "run", drawing__words=folder / "dvae")
    )
    assert status == 1 and "error: " in err and "Traceback" not in err and not (tmp_path / "run").exists()


def test_the_model_folder_draws_by_itself(limner: Command, folder: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "best", tmp_path / "alone")
    drawer = load_drawer(tmp_path / "alone")
    assert all(
        torch.equal(kept, own)
        for kept, own in zip(drawer.dvae.state_dict().values(), tiny_dvae().state_dict().values(), strict=True)
    )
    options = ("--model", finished, "--ranker", "none", "-n", 2, "--out", tmp_path / "out")
    assert limner("draw", "a red circle", *options)[0] == 0 and len(list((tmp_path / "out").iterdir())) == 2


def test_a_killed_run_resumes_to_the_same_weights_without_its_dvae(
    folder: Path, finished: Path, tmp_path: Path
) -> None:
    """And without encoding the pictures again."""
    shutil.copytree(folder / "dvae", tmp_path / "dvae")
    out = tmp_path / "cut"
    process = start(*words(folder / "shapes", tmp_path / "dvae", out), is_silent=True)
    deadline = time.monotonic() + 300
    while len(read_log(out)) < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    shutil.rmtree(tmp_path / "dvae")
    status, _, err = finish("train", "--resume", out)
    assert status == 0 and "encoding" not in err, err
    whole, resumed = (load_file(run / "last" / "model.safetensors") for run in (finished, out))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_codes_are_made_again_when_the_set_changes(folder: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (before,) = (tmp_path / "run" / "codes").iterdir()
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    values["data"] = [str(tmp_path / "other")]
    (tmp_path / "run" / "run.json").write_text(json.dumps(values))
    PictureSet.write(tmp_path / "other", shape_records(sizes=(10, 11, 13, 17)))
    status, _, err = finish("train", "--resume", tmp_path / "run")
    assert status == 0 and "encoding" in err
    (after,) = (tmp_path / "run" / "codes").iterdir()
    assert before.name != after.name


QUICK = {"loop.num_steps": 1, "loop.warmup_steps": 1, "loop.averaging_decay": 0.0, "loop.precision": "float32"}


def going_on(data: Path, start: Path, out: Path, **changes: object) -> list[object]:
    """Words that say nothing of the model's sizes, the tokenizer or the dVAE: they are those of the start."""
    settings = QUICK | {name.replace("__", "."): value for name, value in changes.items()}
    options = set_words(settings)
    return ["train", "dalle", "--data", data, "--out", out, "--from", start, *options, "--json"]


def test_a_run_starts_from_the_weights_of_another(folder: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "on"
    status, printed, err = finish(*going_on(folder / "shapes", finished, out, loop__optimizer__learning_rate=1e-9))
    assert status == 0, err
    outcome = json.loads(printed)
    judged = [line for line in read_log(finished) if "validation/likelihood" in line]
    assert outcome["before"]["likelihood"] == pytest.approx(
        max(line["validation/likelihood"] for line in judged), abs=1e-4
    )
    assert outcome["got_worse"] == (outcome["after"]["likelihood"] < outcome["before"]["likelihood"])
    for name in ("model.safetensors", "dvae/model.safetensors"):
        old, new = (load_file(run / "best" / name) for run in (finished, out))
        assert all(torch.allclose(old[key], new[key], atol=1e-6) for key in old)
    assert (out / "tokenizer.json").read_bytes() == (finished / "tokenizer.json").read_bytes()
    assert "another dVAE" not in err
    status, printed, _ = finish("train", "--resume", out, "--json")
    assert status == 0 and json.loads(printed)["before"] == outcome["before"]


def test_another_dvae_than_that_of_the_start_is_said_or_refused(
    folder: Path, finished: Path, tmp_path: Path, limner: Command
) -> None:
    dvae = tiny_dvae()
    dvae.codebook.directions.data.neg_()
    save_model(tmp_path / "other", dvae)
    write_tiny_dvae(tmp_path / "more", num_codes=25)
    changes = {"drawing__dvae": tmp_path / "other", "drawing__num_views": 1}
    status, _, err = limner(*going_on(folder / "shapes", finished, tmp_path / "on", **changes))
    assert status == 0 and "learned the codes of another dVAE" in err
    cases = {
        "4 x 4 places of 24 codes, and": {"drawing__dvae": tmp_path / "more"},
        "the run has transformer.blocks.2.": {"model__transformer__depth": 3},
        "has positions of shape (16, 32), and the run asks for (16, 64)": {"model__transformer__dim": 64},
    }
    for reason, change in cases.items():
        status, out, err = limner(*going_on(folder / "shapes", finished, tmp_path / "none", **change))
        assert (status, out) == (1, "") and reason in err and "start without --from" in err, err
        assert not (tmp_path / "none").exists()


def test_what_a_run_needs_is_said_before_anything_is_written(folder: Path, tmp_path: Path, limner: Command) -> None:
    started = [*words(folder / "shapes", folder / "dvae", tmp_path / "run"), "--from"]
    cases = {
        "--set drawing.dvae=RUN": words(folder / "shapes", None, tmp_path / "run"),
        "is not a model": words(folder / "shapes", tmp_path / "none", tmp_path / "run"),
        "is a CLIP, which does not draw": [*started, "pictograms"],
        "is a DVAE, which does not draw": [*started, folder / "dvae"],
        "not a dVAE": words(folder / "shapes", Path("pictograms"), tmp_path / "run"),
        "start from the recipe 'dalle'": words(
            folder / "shapes", folder / "dvae", tmp_path / "run", model__kind="clip"
        ),
    }
    for reason, command in cases.items():
        status, out, err = limner(*command)
        assert status in (1, 2) and out == "" and reason in err, err
        assert not (tmp_path / "run").exists()
