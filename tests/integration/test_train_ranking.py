"""`limner train ranking` as a user runs it: every kind of model, mined negatives, killed and resumed."""

import json
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.command import Command, finish, set_words, start
from tests.shapes import write_shapes

from limner.models.checkpoints import load_model
from limner.search.embedder import load_embedder
from limner.search.reranker import load_reranker
from limner.training.logging import read_log

SMALL = {
    "model.vision.image_size": "32",
    "model.text.transformer.depth": "1",
    "model.text.length": "16",
    "loader.batch_size": "12",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "8",
    "loop.warmup_steps": "2",
    "loop.save_every": "4",
    "loop.validate_every": "4",
    "loop.precision": "float32",
}


def words(data: Path, out: Path, settings: dict[str, str]) -> list[str]:
    options = set_words(settings)
    return ["train", "ranking", "--data", str(data), "--out", str(out), *options]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("sets") / "shapes").path


@pytest.fixture(scope="module")
def dual(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dual encoder trained with mined negatives, mined anew every three steps."""
    out = tmp_path_factory.mktemp("runs") / "dual"
    mining = {"ranking.num_mined": "2", "ranking.mining.every": "3", "objective.loss": "lambda_rank"}
    status, printed, err = finish(*words(shapes, out, SMALL | mining), "--json")
    assert status == 0, err
    assert all(f"step {step}: mined" in err for step in (0, 3, 6))
    assert set(json.loads(printed)["after"]) == {"R@1", "R@5", "R@10", "MRR", "mAP"}
    return out


def test_a_dual_encoder_is_a_clip_that_embeds(dual: Path) -> None:
    assert load_embedder(dual).embed_texts(["a red circle"]).shape == (1, 192)
    assert [line["step"] for line in read_log(dual) if "loss" in line] == list(range(1, 9))


def test_a_killed_run_reads_the_same_negatives_and_ends_with_the_same_weights(
    shapes: Path, dual: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cut"
    mining = {"ranking.num_mined": "2", "ranking.mining.every": "3", "objective.loss": "lambda_rank"}
    process = start(*words(shapes, out, SMALL | mining), is_silent=True)
    deadline = time.monotonic() + 300
    while len(read_log(out)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    status, _, err = finish("train", "--resume", out)
    assert status == 0, err
    whole, resumed = load_file(dual / "last/model.safetensors"), load_file(out / "last/model.safetensors")
    assert all((whole[name] == resumed[name]).all() for name in whole)


@pytest.mark.parametrize("kind", ["cross", "late", "language"])
def test_every_kind_starts_from_a_clip_and_mines_with_it(
    limner: Command, shapes: Path, dual: Path, tmp_path: Path, kind: str
) -> None:
    changes = {"model.kind": kind, "ranking.num_mined": "1", "loop.num_steps": "4", "loader.batch_size": "8"}
    status, out, err = limner(*words(shapes, tmp_path / "run", changes), "--from", dual, "--json")
    assert status == 0, err
    assert "before:" in err and "step 0: mined" in err
    assert json.loads(out)["steps"] == 4
    trained = load_reranker(tmp_path / "run")
    scores = trained.scores(trained.text_parts(["a red circle", "a blue square", "red"]), trained.text_parts(["red"]))
    assert scores.shape == (3, 1) and trained.kind == kind
    assert load_model(tmp_path / "run").config.text == load_model(dual).config.text


def test_a_start_gives_its_weights_to_the_parts_of_the_same_name(
    limner: Command, shapes: Path, dual: Path, tmp_path: Path
) -> None:
    changes = {"model.kind": "late", "loop.num_steps": "1", "loop.optimizer.learning_rate": "0", "model.bias": "-3"}
    changes |= {"loader.batch_size": "8"}
    assert limner(*words(shapes, tmp_path / "run", changes), "--from", dual)[0] == 0
    given = load_file(dual / "best/model.safetensors")
    taken = load_file(tmp_path / "run/last/model.safetensors")
    same = [name for name in given if name in taken and "running" not in name and "tracked" not in name]
    assert {"image_projection.weight", "log_scale", "text.positions"} <= set(same)
    assert all((given[name] == taken[name]).all() for name in same if name != "bias")
    assert taken["bias"].item() == -3


@pytest.mark.parametrize(("query", "document"), [("text", "text"), ("picture", "picture"), ("picture", "text")])
def test_texts_and_pictures_ask_for_texts_and_pictures(
    limner: Command, shapes: Path, dual: Path, tmp_path: Path, query: str, document: str
) -> None:
    changes = {"ranking.query": query, "ranking.document": document, "ranking.num_mined": "1"}
    changes |= {"loop.num_steps": "2", "loader.batch_size": "8"}
    status, _, err = limner(*words(shapes, tmp_path / "run", changes), "--from", dual)
    assert status == 0, err
    assert "step 0: mined" in err


def test_without_a_clip_there_is_nothing_to_mine_with(limner: Command, shapes: Path, tmp_path: Path) -> None:
    changes = SMALL | {"model.kind": "cross", "ranking.num_mined": "2", "loop.num_steps": "1"}
    status, _, err = limner(*words(shapes, tmp_path / "run", changes))
    assert status == 0 and "nothing to mine with" in err


def test_wrong_usage_is_one_sentence_and_leaves_nothing(
    limner: Command, shapes: Path, dual: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    changes = {"model.kind": "late", "loop.num_steps": "1", "loader.batch_size": "8"}
    assert limner(*words(shapes, tmp_path / "late", changes), "--from", dual)[0] == 0
    cases = {
        "unknown kind 'cros' of model": (words(shapes, run, {"model.kind": "cros"}), 2),
        "objective.loss": (words(shapes, run, {"objective.loss": "lambdarank"}), 2),
        "leave ranking.num_mined at 0": (words(shapes, run, {"objective.loss": "nce", "ranking.num_mined": "1"}), 2),
        "a 'cross' cannot start": (
            [*words(shapes, run, {"model.kind": "cross"}), "--from", str(tmp_path / "late")],
            1,
        ),
        "leave the sizes": ([*words(shapes, run, {"model.text.token_dim": "8"}), "--from", str(dual)], 1),
    }
    for sentence, (arguments, status) in cases.items():
        found, out, err = limner(*arguments)
        assert (found, out) == (status, ""), (sentence, err)
        assert sentence in err and "Traceback" not in err and len(err.splitlines()[-1]) < 320
        assert not run.exists()
