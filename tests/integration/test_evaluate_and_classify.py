import json
import os
from dataclasses import replace

import pytest
from PIL import Image
from tests.colours import write_tiny_ranker, write_tiny_stir
from tests.shapes import draw, shape_records, write_shapes

from limner.data.picture_set import PictureSet

FIGURES = {"R@1", "R@5", "R@10", "MRR", "mAP", "nDCG@10"}
OF_METRIC_LEARNING = {"P@5", "P@5 (OML)", "P@10", "P@10 (OML)", "mAP@R", "mAP@R (OML)"}


def test_evaluate_prints_one_object(limner, model, tmp_path):
    write_shapes(tmp_path / "set")
    status, out, _ = limner("evaluate", model, tmp_path / "set", "--json")
    assert status == 0
    found = json.loads(out)
    assert set(found["text_to_picture"]) == set(found["picture_to_text"]) == FIGURES
    assert (found["num_pictures"], found["num_captions"], found["split"]) == (48, 48, "all")
    for direction in ("text_to_picture", "picture_to_text"):
        for name, value in found[direction].items():
            low, high = found["intervals"][direction][name]
            assert 0 <= low <= value <= high <= 1


def test_evaluate_takes_the_test_split_and_shows_a_table(limner, model, tmp_path):
    records = [*shape_records(sizes=(9,), split="test"), *shape_records(sizes=(12, 15), split="train")]
    PictureSet.write(tmp_path / "set", records)
    status, out, _ = limner("evaluate", model, tmp_path / "set", "--language", "ru")
    assert status == 0
    assert "12 pictures of 12 concepts" in " ".join(out.split())
    assert "nDCG@10" in out
    everything = json.loads(limner("evaluate", model, tmp_path / "set", "--split", "all", "--json")[1])
    assert everything["num_pictures"] == 36


def test_evaluate_adds_zero_shot_accuracy_for_classes(limner, model, tmp_path):
    PictureSet.write(tmp_path / "set", shape_records(sizes=tuple(range(2, 22))))
    found = json.loads(limner("evaluate", model, tmp_path / "set", "--json")[1])
    assert 0 <= found["zero_shot"]["accuracy"] <= 1


@pytest.fixture
def families(tmp_path):
    """A set as the built-in one: each shape in two styles, and in the style that training never sees."""
    records = []
    for style, size in (("twemoji", 9), ("noto", 12), ("openmoji", 15)):
        for place, record in enumerate(shape_records(sizes=(size,))):
            split = "test" if style == "openmoji" or place % 3 == 0 else "train"
            records.append(replace(record, id=f"{style}/{place}", source=style, split=split))
    return PictureSet.write(tmp_path / "families", records).path


@pytest.mark.parametrize(("protocol", "num_pictures"), [("U", 4), ("S", 8)])
def test_evaluate_by_protocol(limner, model, families, protocol, num_pictures):
    found = json.loads(limner("evaluate", model, families, "--protocol", protocol, "--json")[1])
    assert found["num_pictures"] == found["num_concepts"] == num_pictures
    assert found["split"] == f"protocol {protocol}"


def test_evaluate_drawings_by_drawings(limner, model, families):
    found = json.loads(limner("evaluate", model, families, "--protocol", "D", "--json")[1])
    assert set(found["picture_to_picture"]) == FIGURES | OF_METRIC_LEARNING
    assert set(found["families"]) == {"noto", "twemoji"}
    assert found["num_pictures"] == 8
    status, out, _ = limner("evaluate", model, families, "--protocol", "D")
    assert status == 0
    assert "noto" in out and "8 drawings" in out


def test_evaluate_tells_what_re_ranking_changes(limner, model, families, tmp_path):
    """A re-ranker of the same cosine changes nothing; one of random weights does, and nothing below its depth."""
    write_tiny_stir(tmp_path / "same", model, form="interaction", head_spread=0.0)
    write_tiny_stir(tmp_path / "other", model, form="cached", head_spread=50.0, seed=1)
    words = ("evaluate", model, families, "--protocol", "D", "--depth", 4)
    alone = json.loads(limner(*words, "--json")[1])
    same, other = (
        json.loads(limner(*words, "--rerank", tmp_path / name, "--json")[1])["reranked"] for name in ("same", "other")
    )
    assert same["picture_to_picture"] == alone["picture_to_picture"] and same["families"] == alone["families"]
    assert set(same["gains"].values()) == {0.0} and same["errors_removed"] == 0
    assert (other["depth"], other["model"]) == (4, str(tmp_path / "other"))
    first, second = alone["picture_to_picture"]["R@1"], other["picture_to_picture"]["R@1"]
    assert first != second, "the random re-ranker must change something for this test to say anything"
    assert other["gains"]["R@1"] == pytest.approx(second - first)
    assert other["errors_removed"] == pytest.approx((second - first) / (1 - first))
    low, high = other["intervals"]["errors_removed"]
    assert low <= other["errors_removed"] <= high
    assert set(other["families"]) == set(other["family_errors_removed"]) == {"noto", "twemoji"}
    status, out, _ = limner(*words, "--rerank", tmp_path / "other")
    assert status == 0
    assert all(word in " ".join(out.split()) for word in ("removed", "noto", "twemoji", "re-ranked"))


def test_evaluate_tells_what_re_ranking_by_words_changes(limner, model, tmp_path):
    """The model itself as its re-ranker changes nothing; one with other weights does; STIR reads no words."""
    write_shapes(tmp_path / "set")
    data = tmp_path / "set"
    write_tiny_ranker(tmp_path / "other", "late", seed=1)
    write_tiny_stir(tmp_path / "stir", model, form="cached")
    same, other = (
        json.loads(limner("evaluate", model, data, "--rerank", ranker, "--depth", 5, "--json")[1])
        for ranker in (model, tmp_path / "other")
    )
    assert same["text_to_picture"] == same["reranked"]["text_to_picture"] == other["text_to_picture"]
    assert set(same["reranked"]["gains"].values()) == {0.0}
    gain = other["reranked"]["text_to_picture"]["MRR"] - other["text_to_picture"]["MRR"]
    assert gain != 0 and other["reranked"]["gains"]["MRR"] == pytest.approx(gain)
    out = " ".join(limner("evaluate", model, data, "--rerank", tmp_path / "other")[1].split())
    assert "re-ranked" in out and "re-ranking by" in out
    status, _, told = limner("evaluate", model, data, "--rerank", tmp_path / "stir")
    assert status == 2 and "--protocol D" in told


@pytest.mark.parametrize(
    ("words", "status", "remedy"),
    [
        (["{model}", "{set}", "--split", "dev"], 2, "known: test, validation, train, all"),
        (["{model}", "{set}", "--split", "test"], 1, "--split all"),
        (["{model}", "{set}", "--language", "xx"], 1, "it has: en, ru"),
        (["{model}", "{set}", "--protocol", "Z"], 2, "known: U, S, C"),
        (["{model}", "{set}", "--protocol", "U"], 1, "limner data get pictograms"),
        (["{model}", "{set}", "--protocol", "D"], 1, "limner data get pictograms"),
        (["{model}", "{set}", "--protocol", "U", "--split", "test"], 2, "leave out --split"),
        (["{model}", "{set}", "--protocol", "D", "--language", "ru"], 2, "--language"),
        (["{model}", "{folder}"], 1, "limner data import"),
        (["{model}", "nowhere"], 1, "limner data"),
        (["{folder}", "{set}"], 1, "is not a model"),
    ],
)
def test_evaluate_says_what_would_be_right(limner, model, tmp_path, words, status, remedy):
    write_shapes(tmp_path / "set")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").write_bytes(draw("red", "circle", 9))
    places = {"model": model, "set": tmp_path / "set", "folder": tmp_path / "folder"}
    found, out, err = limner("evaluate", *[word.format(**places) for word in words])
    assert found == status
    assert remedy in err
    assert out == ""
    assert err.count("error: ") == 1 and "Traceback" not in err


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("red", "blue"):
        (folder / f"{name}.png").write_bytes(draw(name, "circle", 15))
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


def test_classify_prints_one_object(limner, model, pictures):
    paths = [pictures / "red.png", pictures / "broken.png", pictures / "blue.png", pictures / "missing.png"]
    status, out, err = limner("classify", *paths, "--labels", "a red circle, a blue circle", "--model", model, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["labels"] == ["a red circle", "a blue circle"]
    assert [entry["path"] for entry in found["pictures"]] == [str(paths[0]), str(paths[2])]
    for entry in found["pictures"]:
        assert sum(entry["probabilities"].values()) == pytest.approx(1)
        assert entry["label"] == max(entry["probabilities"], key=entry["probabilities"].get)
    assert [entry["path"] for entry in found["skipped"]] == [str(paths[1]), str(paths[3])]
    assert "broken.png: is not a picture" in err


def test_classify_says_of_a_folder_what_is_wrong_with_a_name(limner, model, pictures):
    (pictures / "broken.png").rename(os.fsdecode(bytes(pictures) + b"/\xff.png"))
    status, out, err = limner("classify", pictures, "--labels", "red,blue", "--model", model, "--json")
    assert (status, len(json.loads(out)["pictures"])) == (0, 2)
    assert "not in UTF-8; rename it" in err


def test_classify_reads_folders_label_files_and_prompts_and_draws_a_sheet(limner, model, pictures, tmp_path):
    (tmp_path / "labels.txt").write_text("кот\n\nred, dark\n", encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("a drawing of {}\nthe {}\n")
    status, out, _ = limner(
        "classify", pictures, "--labels", f"@{tmp_path / 'labels.txt'}", "--prompts", tmp_path / "prompts.txt",
        "--model", model, "--sheet", tmp_path / "sheet.png",
    )  # fmt: skip
    assert status == 0
    assert "red.png" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 100


@pytest.mark.parametrize(
    ("words", "status", "remedy"),
    [
        (["{red}", "--labels", ""], 2, "--labels cat,dog,boat"),
        (["{red}", "--labels", "a,A"], 2, "given twice"),
        (["{red}", "--labels", "@nowhere.txt"], 2, "nowhere.txt"),
        (["{red}", "--labels", "a,b", "--prompts", "{plain}"], 2, "{}"),
        (["{red}", "--labels", "a,b", "--prompts", "{empty}"], 2, "one a line"),
        (["{red}", "--labels", "a,b", "--sheet", "sheet.txt"], 2, ".png"),
        (["{broken}", "--labels", "a,b"], 1, "give other files"),
        (["{none}", "--labels", "a,b"], 1, "no pictures"),
        (["{set}", "--labels", "a,b"], 2, "limner evaluate"),
    ],
)
def test_classify_says_what_would_be_right(limner, model, pictures, tmp_path, words, status, remedy):
    (tmp_path / "plain.txt").write_text("a drawing\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "none").mkdir()
    write_shapes(tmp_path / "set")
    places = {
        "red": pictures / "red.png",
        "broken": pictures / "broken.png",
        "plain": tmp_path / "plain.txt",
        "empty": tmp_path / "empty.txt",
        "none": tmp_path / "none",
        "set": tmp_path / "set",
    }
    found, out, err = limner("classify", *[word.format(**places) for word in words], "--model", model)
    assert found == status
    assert remedy in err
    assert out == ""
    assert err.count("error: ") == 1 and "Traceback" not in err
