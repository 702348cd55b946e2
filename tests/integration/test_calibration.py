"""From training to a search that says that nothing matches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.command import Command, finish, set_words
from tests.photos import paint
from tests.shapes import shape_records, write_shapes

from limner.data.picture_set import PictureSet

SMALL = {
    "model.vision.image_size": "32",
    "model.text.transformer.depth": "1",
    "model.text.length": "16",
    "loader.batch_size": "24",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "60",
    "loop.averaging_decay": "0.9",
    "loop.optimizer.learning_rate": "3e-3",
    "loop.warmup_steps": "4",
    "loop.validate_every": "20",
    "loop.precision": "float32",
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that is large enough to hold out something of every concept."""
    folder = tmp_path_factory.mktemp("sets") / "shapes"
    records = list(shape_records(sizes=tuple(range(8, 20))))
    split = ["train" if number % 3 else "validation" for number in range(len(records))]
    return PictureSet.write(folder, (replace(r, split=s) for r, s in zip(records, split, strict=True))).path


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "run"
    options = set_words(SMALL)
    status, _, err = finish("train", "ranking", "--data", shapes, "--out", out, *options)
    assert status == 0, err
    return out, err


@pytest.fixture(scope="module")
def reranker(shapes: Path, run: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "cross"
    changes = {"model.kind": "cross", "loop.num_steps": "30", "loader.batch_size": "12", "loop.precision": "float32"}
    options = set_words(changes)
    status, _, err = finish("train", "ranking", "--data", shapes, "--from", run[0], "--out", out, *options)
    assert status == 0, err
    return out


@pytest.fixture
def collection(limner: Command, run: tuple[Path, str], tmp_path: Path) -> Path:
    for colour in ("red", "green", "blue", "black"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    assert limner("index", tmp_path / "photos", "--to", tmp_path / "c", "--model", run[0])[0] == 0
    return tmp_path / "c"


def search(limner: Command, *words: object) -> list[dict]:
    status, out, err = limner("search", *words, "--json")
    assert status == 0, err
    return json.loads(out)["hits"]


def test_training_ends_with_a_calibration_of_the_best_weights(run: tuple[Path, str]) -> None:
    out, err = run
    told = json.loads((out / "best" / "calibration.json").read_text())
    assert "expected calibration error" in err and told["text"]["method"] in ("platt", "isotonic")
    assert set(told["text"]["figures"]) == {"error", "silent", "kept"}
    assert "labels: expected calibration error" in err


def test_labels_are_told_by_the_scale_that_was_fitted_for_them(
    limner: Command, run: tuple[Path, str], tmp_path: Path
) -> None:
    paint(tmp_path / "red.png", "red")
    path = run[0] / "best" / "calibration.json"
    told = json.loads(path.read_text())

    def probabilities() -> np.ndarray:
        status, out, err = limner(
            "classify", tmp_path / "red.png", "--labels", "red,green,blue", "--model", run[0], "--json"
        )
        assert status == 0, err
        return np.array(list(json.loads(out)["pictures"][0]["probabilities"].values()))

    first = np.log(probabilities())
    path.write_text(json.dumps(told | {"labels": {"scale": told["labels"]["scale"] / 2}}))
    halved = np.log(probabilities())
    path.write_text(json.dumps(told))
    np.testing.assert_allclose(np.ptp(halved), np.ptp(first) / 2, rtol=1e-3)


@pytest.mark.parametrize("query", [("a red square",), ("--picture", "red")])
def test_hits_carry_a_probability_and_a_minimum_leaves_out_the_less_likely(
    limner: Command, collection: Path, tmp_path: Path, query: tuple[str, ...]
) -> None:
    if len(query) == 2:
        query = ("--picture", str(tmp_path / "photos" / "red.png"))
    hits = search(limner, collection, *query)
    told = [hit["relevance"] for hit in hits]
    assert len(hits) == 4 and all(0 <= each <= 1 for each in told)
    assert told == sorted(told, reverse=True)
    kept = search(limner, collection, *query, "--min-relevance", told[1])
    assert [hit["id"] for hit in kept] == [hit["id"] for hit in hits if hit["relevance"] >= told[1]]


def test_nothing_matches_and_the_search_says_so(limner: Command, collection: Path) -> None:
    assert search(limner, collection, "a green triangle", "--min-relevance", "1") == []
    status, out, err = limner("search", collection, "a green triangle", "--min-relevance", "1")
    assert (status, out, err) == (0, "", "nothing here matches with a relevance of 1 or more\n")
    assert "relevance" in limner("search", collection, "a green triangle")[1]


def test_a_re_ranker_is_calibrated_by_itself(limner: Command, collection: Path, reranker: Path) -> None:
    assert (reranker / "best" / "calibration.json").is_file()
    assert limner("index", "--to", collection, "--reranker", reranker)[0] == 0
    hits = search(limner, collection, "a red square", "--rerank", "cross", "--min-relevance", 0)
    first = search(limner, collection, "a red square")
    assert len(hits) == 4 and all("relevance" in hit and "first_score" in hit for hit in hits)
    assert [hit["relevance"] for hit in hits] != [hit["relevance"] for hit in first]


@pytest.mark.parametrize("query", [("a red square",), ("--picture", "red")])
def test_a_clip_that_re_ranks_tells_the_relevance_that_it_tells_alone(
    limner: Command, collection: Path, run: tuple[Path, str], tmp_path: Path, query: tuple[str, ...]
) -> None:
    if len(query) == 2:
        query = ("--picture", str(tmp_path / "photos" / "red.png"))
    assert limner("index", "--to", collection, "--reranker", run[0])[0] == 0
    alone = {hit["id"]: hit["relevance"] for hit in search(limner, collection, *query)}
    hits = search(limner, collection, *query, "--rerank", "clip", "--min-relevance", 0)
    assert {hit["id"]: hit["relevance"] for hit in hits} == pytest.approx(alone, abs=0.01)
    assert len(set(alone.values())) > 1


@pytest.mark.parametrize("method", ["isotonic", "platt", "nce"])
def test_a_model_is_calibrated_by_a_command(
    limner: Command, run: tuple[Path, str], shapes: Path, collection: Path, method: str
) -> None:
    status, out, err = limner("calibrate", run[0], "--data", shapes, "--method", method, "--json")
    assert status == 0, err
    assert json.loads(out)["text"]["method"] == method
    assert all(0 <= hit["relevance"] <= 1 for hit in search(limner, collection, "red"))
    status, _, err = limner("calibrate", run[0], "--data", shapes)
    assert status == 0 and "words: " in err and "pictures: " in err


def test_where_few_captions_differ_labels_stay_as_they_were_learned(
    limner: Command, run: tuple[Path, str], shapes: Path, tmp_path: Path
) -> None:
    """Of the twelve captions three remain, of which no ten labels can be drawn."""
    records = [
        replace(record, captions=tuple(replace(said, text=said.text.split()[-1]) for said in record.captions))
        for record in PictureSet.open(shapes).records()
    ]
    few = PictureSet.write(tmp_path / "few", iter(records)).path
    assert limner("export", run[0], tmp_path / "model")[0] == 0
    status, out, err = limner("calibrate", tmp_path / "model", "--data", few, "--json")
    assert status == 0, err
    assert json.loads(out)["labels"] is None and json.loads(out)["picture"] is not None


def test_an_exported_model_keeps_its_calibration(
    limner: Command, run: tuple[Path, str], collection: Path, tmp_path: Path
) -> None:
    assert limner("export", run[0], tmp_path / "model")[0] == 0
    assert limner("index", tmp_path / "photos", "--to", tmp_path / "e", "--model", tmp_path / "model")[0] == 0
    expected = {hit["path"]: hit["relevance"] for hit in search(limner, collection, "red")}
    found = {hit["path"]: hit["relevance"] for hit in search(limner, tmp_path / "e", "red")}
    assert found == pytest.approx(expected, abs=0.02)


def test_what_cannot_be_told_is_told_in_one_sentence(
    limner: Command, collection: Path, model: Path, shapes: Path, run: tuple[Path, str], tmp_path: Path
) -> None:
    assert limner("index", tmp_path / "photos", "--to", tmp_path / "plain", "--model", model)[0] == 0
    assert "relevance" not in search(limner, tmp_path / "plain", "red")[0]
    write_shapes(tmp_path / "few")
    cases = {
        f"limner calibrate {model} --data SET": (1, "search", tmp_path / "plain", "red", "--min-relevance", "0.5"),
        "between 0 and 1": (2, "search", collection, "red", "--min-relevance", "1.5"),
        "a mixture has no relevance": (2, "search", collection, "red", "--minus", "blue", "--min-relevance", "0.5"),
        "unknown method 'magic'": (2, "calibrate", run[0], "--data", shapes, "--method", "magic"),
        "too few held-out": (1, "calibrate", model, "--data", tmp_path / "few"),
        "is not a model": (1, "calibrate", tmp_path / "nowhere", "--data", shapes),
    }
    for sentence, (status, *words) in cases.items():
        found, out, err = limner(*words)
        assert (found, out) == (status, "") and sentence in err and err.count("\n") == 1, (sentence, err)
    file = run[0] / "best" / "calibration.json"
    before = file.read_text()
    file.write_text("{")
    status, _, err = limner("search", collection, "red", "--min-relevance", "0.5")
    assert status == 1 and "limner calibrate" in err
    assert "relevance" not in search(limner, collection, "red")[0]
    file.write_text(before)
