"""`limner index --reranker` and `limner search --rerank`: what is kept, what is ordered, what is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.colours import write_tiny_ranker
from tests.command import Command
from tests.photos import paint
from tests.shapes import write_shapes

from limner.data.decoding import decode_picture, read_picture
from limner.search import reading, second_stage
from limner.search.collection import Collection
from limner.search.query import Query, Term
from limner.search.reranker import load_reranker

COLOURS = ("red", "green", "blue", "black", "yellow", "white")
KINDS = ("cross", "late", "language")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in COLOURS:
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def rankers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("rankers")
    return {kind: write_tiny_ranker(folder / kind, kind, seed=1) for kind in KINDS}


@pytest.fixture
def collection(limner: Command, photos: Path, model: Path, rankers: dict[str, Path], tmp_path: Path) -> Path:
    options = [word for path in rankers.values() for word in ("--reranker", path)]
    status, _, err = limner("index", photos, "--to", tmp_path / "c", "--model", model, *options)
    assert status == 0, err
    return tmp_path / "c"


def search(limner: Command, *words: object) -> list[dict]:
    status, out, err = limner("search", *words, "--json")
    assert status == 0, err
    return json.loads(out)["hits"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", ["words", "picture"])
def test_the_best_hits_are_ordered_by_the_score_of_the_pair(
    limner: Command, collection: Path, photos: Path, rankers: dict[str, Path], kind: str, asked: str
) -> None:
    query = ("a red circle",) if asked == "words" else ("--picture", photos / "green.png")
    first = search(limner, collection, *query)
    hits = search(limner, collection, *query, "--rerank", kind)
    reranker = load_reranker(rankers[kind])
    parts = reranker.text_parts(query) if asked == "words" else reranker.picture_parts([read_picture(query[1])])
    pictures = [read_picture(Path(hit["path"])) for hit in hits]
    scores = reranker.scores(parts, reranker.picture_parts(pictures))[0]
    assert [hit["score"] for hit in hits] == pytest.approx(scores.tolist(), abs=2e-3)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert [hit["rank"] for hit in hits] == list(range(1, 7))
    assert {hit["id"]: hit["first_score"] for hit in hits} == {hit["id"]: hit["score"] for hit in first}


def test_only_the_best_of_the_first_stage_are_looked_at(limner: Command, collection: Path) -> None:
    first = search(limner, collection, "red", "--top", 3)
    hits = search(limner, collection, "red", "--top", 2, "--rerank", "late", "--depth", 3)
    assert len(hits) == 2 and {hit["id"] for hit in hits} <= {hit["id"] for hit in first}


def test_the_collections_own_model_as_re_ranker_changes_nothing(limner: Command, collection: Path, model: Path) -> None:
    assert limner("index", "--to", collection, "--reranker", model)[0] == 0
    first = search(limner, collection, "a red circle")
    again = search(limner, collection, "a red circle", "--rerank", "clip")
    assert [hit["first_score"] for hit in again] == pytest.approx([hit["score"] for hit in first], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_is_ordered_by_the_weighted_sum_of_its_parts_scores(
    limner: Command, collection: Path, photos: Path, rankers: dict[str, Path], kind: str
) -> None:
    picture = photos / "green.png"
    words = ("a red circle", "--plus", f"0.5:@{picture}", "--minus", "2:blue")
    hits = search(limner, collection, *words, "--rerank", kind)
    reranker = load_reranker(rankers[kind])
    documents = reranker.picture_parts([read_picture(Path(hit["path"])) for hit in hits])
    asked = [reranker.text_parts(["a red circle"]), reranker.picture_parts([read_picture(picture)])]
    scores = np.stack([reranker.scores(each, documents)[0] for each in (*asked, reranker.text_parts(["blue"]))])
    # All six pictures are the sample that the spread is measured on.
    expected = np.array([1, 0.5, -2]) / scores.std(axis=1)
    expected = expected / np.abs(expected).max() @ scores
    found = np.array([hit["score"] for hit in hits])
    assert found == pytest.approx(expected, abs=0.1 * float(expected.std())) and (np.diff(found) <= 0).all()
    assert all("first_score" in hit for hit in hits)


def test_people_see_both_scores(limner: Command, collection: Path) -> None:
    _, out, _ = limner("search", collection, "red", "--rerank", "cross")
    assert "first score" in out and "score" in out
    assert "first score" not in limner("search", collection, "red")[1]


def test_what_is_kept_follows_the_pictures(limner: Command, collection: Path, photos: Path) -> None:
    (photos / "red.png").rename(photos / "rose.png")
    paint(photos / "green.png", "purple")
    paint(photos / "new.png", "orange")
    (photos / "blue.png").unlink()
    assert limner("index", "--to", collection)[0] == 0
    names = {Path(hit["path"]).stem for hit in search(limner, collection, "red", "--rerank", "cross")}
    assert names == {"rose", "green", "new", "black", "yellow", "white"}


def test_a_new_picture_is_decoded_once_and_re_rankers_are_loaded_only_for_it(
    limner: Command, collection: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, loaded = [], []
    monkeypatch.setattr(reading, "decode_picture", lambda *a, **k: decoded.append(0) or decode_picture(*a, **k))
    monkeypatch.setattr(second_stage, "load_reranker", lambda name: loaded.append(name) or load_reranker(name))
    assert limner("index", "--to", collection)[0] == 0
    assert (len(decoded), len(loaded)) == (0, 0)
    paint(photos / "new.png", "orange")
    paint(photos / "green.png", "purple")
    assert limner("index", "--to", collection)[0] == 0
    assert (len(decoded), len(set(loaded)), len(loaded)) == (2, 3, 3)
    for kind in KINDS:
        assert len(search(limner, collection, "red", "--rerank", kind)) == 7


def test_pictures_of_a_set_and_a_new_model_keep_their_re_rankers(
    limner: Command, model: Path, rankers: dict[str, Path], tmp_path: Path
) -> None:
    write_shapes(tmp_path / "set")
    words = ("--to", tmp_path / "c", "--model", model)
    assert limner("index", tmp_path / "set", *words, "--reranker", rankers["late"])[0] == 0
    before = search(limner, tmp_path / "c", "red", "--rerank", "late", "--depth", 48)
    assert limner("index", *words, "--reindex")[0] == 0
    after = search(limner, tmp_path / "c", "red", "--rerank", "late", "--depth", 48)
    assert [hit["score"] for hit in after] == pytest.approx([hit["score"] for hit in before], abs=1e-6)


def test_a_re_ranker_takes_the_place_of_the_former_of_its_kind(
    limner: Command, collection: Path, tmp_path: Path
) -> None:
    other = write_tiny_ranker(tmp_path / "other", "cross", seed=2)
    before = search(limner, collection, "red", "--rerank", "cross")
    assert limner("index", "--to", collection, "--reranker", other)[0] == 0
    after = search(limner, collection, "red", "--rerank", "cross")
    assert {hit["id"]: hit["score"] for hit in after} != {hit["id"]: hit["score"] for hit in before}
    assert len(list(collection.glob("parts-cross-*.lance"))) == 1 and len(list(collection.glob("parts-*"))) == 3
    assert search(limner, collection, "red", "--rerank", "late")
    facts = json.loads(limner("info", collection, "--json")[1])
    assert facts["rerankers"]["cross"] == str(other)
    assert f"re-ranker   cross: {other}" in limner("info", collection)[1]


def test_an_open_collection_goes_on_to_a_new_re_ranker(limner: Command, collection: Path, tmp_path: Path) -> None:
    opened = Collection.open(collection)
    first = opened.search("red", rerank="cross")
    other = write_tiny_ranker(tmp_path / "other", "cross", seed=2)
    assert limner("index", "--to", collection, "--reranker", other)[0] == 0
    query = Query(terms=(Term(words="red"),))
    assert [hit.score for hit in opened.search(query, rerank="cross")] != [hit.score for hit in first]


def test_what_cannot_be_done_is_told_in_one_sentence(
    limner: Command, photos: Path, model: Path, collection: Path, rankers: dict[str, Path], tmp_path: Path
) -> None:
    assert limner("index", photos, "--to", tmp_path / "plain", "--model", model)[0] == 0
    gone = write_tiny_ranker(tmp_path / "gone", "cross", seed=3)
    assert limner("index", photos, "--to", tmp_path / "orphan", "--model", model, "--reranker", gone)[0] == 0
    shutil.rmtree(gone)
    incomplete = Collection.open(tmp_path / "orphan")._second_stage("cross")._kept
    incomplete._table.delete("id", incomplete._table.read(["id"])["id"].to_pylist()[:1])
    cases = {
        f"limner index --to {tmp_path / 'plain'} --reranker MODEL": ("plain", "red", "--rerank", "cross"),
        "it has cross, language, late": (collection, "red", "--rerank", "crss"),
        "is gone": ("orphan", "red", "--rerank", "cross"),
    }
    for sentence, (where, *words) in cases.items():
        status, out, err = limner("search", tmp_path / where, *words)
        assert (status, out) in ((1, ""), (2, "")) and sentence in err and err.count("\n") == 1, err
    status, _, err = limner("index", photos, "--to", tmp_path / "x", "--model", rankers["cross"])
    assert status == 1 and "does not embed but re-ranks" in err
    write_tiny_ranker(tmp_path / "gone", "cross", seed=3)
    status, _, err = limner("search", tmp_path / "orphan", "red", "--rerank", "cross")
    assert status == 1 and f"limner index --to {tmp_path / 'orphan'}` once more" in err
