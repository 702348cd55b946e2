"""`limner train dvae` and `limner reconstruct` as a user runs them."""

import json
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.command import Command, finish, set_words, start
from tests.shapes import draw, shape_records, write_shapes

from limner.data.picture_set import PictureSet, Record
from limner.models.checkpoints import load_model, save_model
from limner.models.dvae import DVAE, DVAEConfig
from limner.nn.bottleneck import BottleneckConfig
from limner.training.logging import read_log

SMALL = {
    "model.image_size": "32",
    "model.num_codes": "16",
    "model.network.encoder.dim": "32",
    "model.network.decoder.dim": "32",
    "model.network.decoder.depth": "1",
    "loader.batch_size": "8",
    "loader.num_threads": "1",
    "objective.revive_after": "4",
    "loop.num_steps": "24",
    "loop.warmup_steps": "2",
    "loop.save_every": "4",
    "loop.validate_every": "12",
    "loop.precision": "float32",
}


def words(data: Path, out: Path, **changes: str) -> list[str]:
    settings = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    options = set_words(settings)
    return ["train", "dvae", "--data", str(data), "--out", str(out), *options]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture set without a single caption."""
    bare = [Record(id=record.id, picture=record.picture) for record in shape_records()]
    return PictureSet.write(tmp_path_factory.mktemp("sets") / "bare", bare).path


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    status, printed, err = finish(*words(pictures, out), "--json")
    assert status == 0, err
    outcome = json.loads(printed)
    assert set(outcome["after"]) == {"PSNR", "SSIM", "bound", "relaxed_bound", "usage", "perplexity"}
    assert outcome["num_held_out"] > 0
    return out


def test_a_run_without_captions_leaves_a_dvae_and_no_tokenizer(finished: Path) -> None:
    model = load_model(finished)
    assert isinstance(model, DVAE) and model.config.grid_size == 4
    assert not list(finished.rglob("tokenizer.json"))
    logged = [line for line in read_log(finished) if "loss" in line]
    assert [line["step"] for line in logged] == list(range(1, 25)) and logged[-1]["loss"] < logged[0]["loss"]
    assert {"usage", "perplexity", "relaxed_bound", "temperature", "kl_weight"} <= set(logged[0])
    # In the end the decoder learns alone: nothing is drawn, and nothing cools.
    assert {"usage", "perplexity", "nats"} <= set(logged[-1]) and "temperature" not in logged[-1]


def test_a_killed_run_resumes_to_the_same_weights(pictures: Path, finished: Path, tmp_path: Path) -> None:
    """Among its state are the counts of codes, which say when a dead one comes to life."""
    out = tmp_path / "cut"
    process = start(*words(pictures, out), is_silent=True)
    deadline = time.monotonic() + 300
    while len(read_log(out)) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 10 <= len(read_log(out)) < 24
    status, _, err = finish("train", "--resume", out)
    assert status == 0, err
    whole, resumed = (load_file(run / "last/model.safetensors") for run in (finished, out))
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_pictures_come_back_beside_what_is_left_of_them(limner: Command, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for colour in ("red", "blue"):
        (folder / f"{colour}.png").write_bytes(draw(colour, "circle", 15))
    (folder / "broken.png").write_bytes(b"no picture")
    sheet = tmp_path / "sheet.png"
    status, out, err = limner("reconstruct", folder, "--model", finished, "--sheet", sheet, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert len(found["pictures"]) == 2 and found["num_codes"] == 16 and 0 < found["usage"] <= 1
    assert all(entry["psnr"] > 0 and -1 <= entry["ssim"] <= 1 for entry in found["pictures"])
    assert "broken.png" in err
    with Image.open(sheet) as drawn:
        assert drawn.width > 300
    status, out, _ = limner("reconstruct", folder, "--model", finished)
    assert status == 0 and "mean" in out


def test_a_run_starts_from_the_weights_of_another(pictures: Path, finished: Path, tmp_path: Path) -> None:
    """Nothing says how large the model is, and so small a step leaves it as it was."""
    changes = {"loader.batch_size": 8, "loop.num_steps": 1, "loop.warmup_steps": 1, "loop.precision": "float32"}
    changes |= {"loop.averaging_decay": 0.0, "loop.optimizer.learning_rate": 1e-9}
    options = set_words(changes)
    out = tmp_path / "on"
    status, printed, err = finish(
        "train", "dvae", "--data", pictures, "--out", out, "--from", finished, *options, "--json"
    )
    assert status == 0, err
    outcome = json.loads(printed)
    assert outcome["before"] == pytest.approx(best_figures(finished), abs=1e-3)
    assert "before: PSNR" in err
    assert outcome["got_worse"] == (outcome["after"]["PSNR"] < outcome["before"]["PSNR"]) == ("WORSE" in err)
    old, new = (load_file(run / "best/model.safetensors") for run in (finished, out))
    learned = [name for name in old if not name.startswith("codebook.spread")]
    assert all(torch.allclose(old[name], new[name], atol=1e-6) for name in learned)
    status, printed, _ = finish("train", "--resume", out, "--json")
    assert status == 0 and json.loads(printed)["before"] == outcome["before"]


def best_figures(run: Path) -> dict[str, float]:
    """What was logged of the weights that were kept."""
    judged = [line for line in read_log(run) if "validation/PSNR" in line]
    best = max(judged, key=lambda line: line["validation/PSNR"])
    return {name.removeprefix("validation/"): value for name, value in best.items() if name.startswith("validation/")}


@pytest.mark.parametrize("image_size", [2, 4, 8])
def test_pictures_of_few_pixels_come_back_too(limner: Command, tmp_path: Path, image_size: int) -> None:
    """SSIM's usual window is 11 pixels wide."""
    network = BottleneckConfig(hidden_dim=8, num_groups=2, num_blocks=1, code_dim=4)
    save_model(tmp_path / "dvae", DVAE(DVAEConfig(image_size=image_size, num_codes=16, network=network)).eval())
    (tmp_path / "red.png").write_bytes(draw("red", "circle", 15))
    command = ("reconstruct", tmp_path / "red.png", "--model", tmp_path / "dvae", "--sheet", tmp_path / "sheet.png")
    status, out, err = limner(*command, "--json")
    assert status == 0, err
    (entry,) = json.loads(out)["pictures"]
    assert entry["psnr"] > 0 and -1 <= entry["ssim"] <= 1


def test_an_exported_dvae_is_half_as_large_and_draws_nearly_the_same(
    limner: Command, finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(draw("red", "circle", 15))
    status, _, err = limner("export", finished, tmp_path / "half")
    assert status == 0, err
    psnr = []
    for model in (finished, tmp_path / "half"):
        status, out, _ = limner("reconstruct", tmp_path / "red.png", "--model", model, "--json")
        psnr.append(json.loads(out)["psnr"])
    assert psnr[0] == pytest.approx(psnr[1], abs=0.5)


def test_wrong_usage_is_one_sentence(
    limner: Command, model: Path, pictures: Path, finished: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "red.png"
    picture.write_bytes(draw("red", "circle", 15))
    run, captioned = tmp_path / "run", write_shapes(tmp_path / "shapes").path
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_bytes((finished / "best/config.json").read_bytes())
    cases = {
        "is a CLIP, not a dVAE": (["reconstruct", picture, "--model", model], 1),
        "is not a model": (["reconstruct", picture, "--model", damaged], 1),
        "is a picture set": (["reconstruct", pictures, "--model", finished], 2),
        "none of the 1 pictures": (["reconstruct", tmp_path / "nothing.png", "--model", finished], 1),
        "--sheet writes": (["reconstruct", picture, "--model", finished, "--sheet", tmp_path / "a.txt"], 2),
        "pictograms is a CLIP, not a dVAE": ([*words(pictures, run), "--from", "pictograms"], 1),
        "has codebook.directions of shape (16, 8), and the run asks for (17, 8)": (
            [*words(pictures, run, model__num_codes="17"), "--from", finished],
            1,
        ),
        "only the run has codebook.head.bias; leave the parts as they are": (
            [*words(pictures, run, model__codebook__kind="dense"), "--from", finished],
            1,
        ),
        "not a multiple of 8": (words(pictures, run, model__image_size="30"), 2),
        "a dVAE learns by its own objective": (
            ["train", "clip", "--data", captioned, "--out", run, "--set", "model.kind=dvae"],
            2,
        ),
        "which reads no words": (["index", captioned, "--model", finished, "--to", tmp_path / "collection"], 1),
    }
    for sentence, (arguments, status) in cases.items():
        found, out, err = limner(*arguments)
        assert (found, out) == (status, ""), (sentence, err)
        assert sentence in err and "Traceback" not in err, (sentence, err)
        assert not run.exists()
