"""Drawing, completing and captioning as a user does it, with random weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.command import Command
from tests.drawers import write_tiny_drawer, write_tiny_dvae
from tests.photos import paint

from limner.generation.defaults import GUIDANCE, TOP_P
from limner.generation.drawer import load_drawer
from limner.generation.likelihood import likelihoods
from limner.generation.sampling import Sampling
from limner.search.calibrate import Calibration, Curve, write_calibration
from limner.search.embedder import load_embedder
from limner.services import drawing


@pytest.fixture(scope="session")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_drawer(tmp_path_factory.mktemp("drawer"))


@pytest.fixture
def draw(limner: Command, drawer: Path, model: Path, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    def call(*words: object, **changes: object) -> tuple[int, str, str]:
        options = {"model": drawer, "ranker": model, "out": tmp_path / "out"} | changes
        return limner("draw", *words, *(f"--{name}={value}" for name, value in options.items() if value is not None))

    return call


def opened(path: Path | str) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: opened(path).tobytes() for path in sorted(folder.glob("*.png"))}


def told(err: str) -> list[str]:
    return [line for line in err.splitlines() if "Drawing" not in line and line.strip()]


def test_pictures_are_drawn_and_the_best_are_kept(draw, model: Path, tmp_path: Path) -> None:
    status, out, err = draw("a red circle", "-n", 7, "--keep", 3, "--json", sheet=tmp_path / "fox.png")
    assert status == 0, err
    answer = json.loads(out)
    scores = [each["score"] for each in answer["drawings"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 3 and answer["words"] == "a red circle"
    assert opened(tmp_path / "fox.png").size[0] > 3 * 160
    embedder = load_embedder(model)
    for each in answer["drawings"]:
        picture = opened(each["file"])
        assert picture.size == (32, 32)
        expected = embedder.embed_pictures([picture])[0] @ embedder.embed_texts(["a red circle"])[0]
        assert each["score"] == pytest.approx(float(expected), abs=1e-5)
    draw("a red circle", "-n", 7, out=tmp_path / "all")
    assert len(pixels(tmp_path / "all")) == 7 and pixels(tmp_path / "out").items() <= pixels(tmp_path / "all").items()


def test_a_seed_draws_the_same_pictures_however_many_are_asked_for(draw, tmp_path: Path) -> None:
    for name, count, seed in (("five", 5, 3), ("two", 2, 3), ("other", 5, 4)):
        assert draw("a red circle", "-n", count, seed=seed, out=tmp_path / name)[0] == 0
    five, two, other = (pixels(tmp_path / name) for name in ("five", "two", "other"))
    assert two.items() <= five.items() and len(set(five.values())) == 5
    assert set(two) == {"3-000.png", "3-001.png"} and not set(five.values()) & set(other.values())


@pytest.mark.parametrize("change", [{"guidance": 1}, {"temperature": 0.2}, {"top-k": 1}, {"top-p": 0.2}])
def test_each_option_changes_what_is_drawn(draw, tmp_path: Path, change: dict[str, object]) -> None:
    assert draw("a red circle", out=tmp_path / "one")[0] == draw("a red circle", out=tmp_path / "two", **change)[0] == 0
    assert pixels(tmp_path / "one") != pixels(tmp_path / "two")


def test_too_many_words_are_cut_and_that_is_said(draw) -> None:
    status, _, err = draw("a red circle " * 9)
    assert status == 0 and "longer than the model reads and are cut after 'a red circle" in err


def test_no_words_draw_anything_and_that_is_said(draw, tmp_path: Path) -> None:
    status, out, err = draw("  ", "--json")
    assert status == 0 and "no words are given: drawing anything" in err
    assert [each["score"] for each in json.loads(out)["drawings"]] == [None] * 8
    assert draw("", out=tmp_path / "same", guidance=5)[0] == 0
    assert pixels(tmp_path / "same") == pixels(tmp_path / "out"), "guidance away from nothing is none"


@pytest.mark.parametrize("words", ["ein Fuß 🦊 \u202e", "狐\x00", "\ud800"])
def test_any_letters_are_words(draw, words: str) -> None:
    status, _, err = draw(words, "-n", 1)
    assert status == 0, err


def test_pictures_are_shown_while_they_are_drawn(draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[list[bytes]] = []
    plain = drawing.save_sheet

    def save(pictures, titles, out) -> None:
        sheets.append([each.tobytes() for each in pictures])
        plain(pictures, titles, out)

    monkeypatch.setattr(drawing, "save_sheet", save)
    status, _, err = draw("a red circle", "-n", 2, "--ranker", "none", watch=tmp_path / "now.png")
    assert status == 0, err
    side = load_drawer(write_tiny_drawer(tmp_path / "again")).model.config.grid_size
    assert (tmp_path / "now.png").is_file() and len(sheets) == side
    assert len({tuple(each) for each in sheets}) > 1
    assert sheets[-1] == list(pixels(tmp_path / "out").values())


def test_where_drawings_go_is_checked_before_any_is_drawn(draw, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    assert "--sheet FILE" in draw("fox", out=None)[2]
    assert "--sheet writes" in draw("fox", sheet=tmp_path / "a.txt")[2]
    assert "--watch writes" in draw("fox", watch=tmp_path / "a.txt")[2]
    status, _, err = draw("fox", out=tmp_path / "full")
    assert status == 2 and told(err) == [f"error: {tmp_path / 'full'} is not empty; name a new folder with --out"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"top-p": 0}, {"top-k": -1}, {"guidance": -2}])
def test_a_number_out_of_range_is_one_sentence(draw, wrong: dict[str, object]) -> None:
    status, _, err = draw("fox", **wrong)
    assert status == 2 and len(told(err)) == 1 and next(iter(wrong)).replace("-", "_") in err


def no_dvae(folder: Path) -> None:
    shutil.rmtree(folder / "dvae")


def no_codebook(folder: Path) -> None:
    (folder / "dvae" / "model.safetensors").unlink()


def half_a_dvae(folder: Path) -> None:
    path = folder / "dvae" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:999])


def half_a_model(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:999])


def no_words(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def other_dvae(folder: Path) -> None:
    write_tiny_dvae(folder / "dvae", num_codes=25)


def clip_for_dvae(folder: Path) -> None:
    shutil.rmtree(folder / "dvae")
    shutil.copytree(folder.parent / "clip", folder / "dvae")


HARMS = {
    no_dvae: "has no dvae/config.json",
    no_codebook: "model.safetensors",
    half_a_dvae: "cannot be read",
    half_a_model: "cannot be read",
    no_words: "tokenizer.json cannot be read",
    other_dvae: "4 x 4 places of 24 codes, and its dVAE has 4 x 4 places of 25 codes",
    clip_for_dvae: "is a CLIP, not a dVAE",
}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_harmed_folder_is_one_sentence(draw, drawer: Path, model: Path, tmp_path: Path, harm) -> None:
    shutil.copytree(drawer, tmp_path / "model")
    shutil.copytree(model, tmp_path / "clip")
    harm(tmp_path / "model")
    status, out, err = draw("fox", model=tmp_path / "model")
    assert (status, out) == (1, "") and len(told(err)) == 1 and HARMS[harm] in err
    assert not (tmp_path / "out").exists()


def test_what_does_not_draw_is_refused_by_name(draw, limner: Command, model: Path, tmp_path: Path) -> None:
    assert "is a CLIP, which does not draw" in draw("fox", model=model)[2]
    assert "give a CLIP" in draw("fox", ranker=write_tiny_drawer(tmp_path / "d"))[2]
    dvae = write_tiny_dvae(tmp_path / "dvae")
    assert "is a DVAE, which does not draw" in draw("fox", model=dvae)[2]
    assert "reads no words" in draw("fox", ranker=dvae)[2]


PARTS = {"top": "1111 1111 0000 0000", "left": "1100 1100 1100 1100", "box": "0000 0110 0110 0000"}


@pytest.mark.parametrize("keep", PARTS)
def test_a_part_of_a_picture_stays(
    limner: Command, drawer: Path, model: Path, tmp_path: Path, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    picture = paint(tmp_path / "photo.png", "red")
    expected = load_drawer(drawer).codes([opened(picture)])[0]
    plain = drawing.Drawer.pictures
    monkeypatch.setattr(drawing.Drawer, "pictures", lambda self, codes: seen.append(codes) or plain(self, codes))
    words = ("complete", picture, "a red circle", "--keep", keep, "-n", 5, "--top-p", 1, "--model", drawer)
    status, out, err = limner(*words, "--ranker", model, "--out", tmp_path / "out", "--json")
    assert status == 0, err
    kept = torch.tensor([digit == "1" for digit in PARTS[keep].replace(" ", "")])
    assert (seen[0][:, kept] == expected[kept]).all()
    assert (seen[0][:, ~kept] != expected[~kept]).any(dim=1).all()
    assert len(seen[0].unique(dim=0)) == 5 and len(json.loads(out)["drawings"]) == 5


def test_bad_parts_and_pictures_are_one_sentence(limner, drawer: Path, tmp_path: Path) -> None:
    picture = paint(tmp_path / "photo.png", "red")
    rest = ("--model", drawer, "--out", tmp_path / "out")
    assert "known: top, left, box" in limner("complete", picture, "--keep", "right", *rest)[2]
    for share in (0, 1):
        status, _, err = limner("complete", picture, "--share", share, *rest)
        assert status == 2 and "give a share between" in err
    status, _, err = limner("complete", tmp_path / "none.png", *rest)
    assert status == 1 and "none.png does not exist" in err


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in ("red", "blue"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    return tmp_path / "photos"


def test_candidate_texts_are_weighed_by_bayes_rule(limner, drawer: Path, photos: Path, tmp_path: Path) -> None:
    texts = ["a red circle", "a blue square", "square"]
    (tmp_path / "texts").write_text("\n".join([*texts, "", "square"]), encoding="utf-8")
    (photos / "broken.png").write_bytes(b"GIF8")
    words = ("caption", photos, "--with", "dalle", "--model", drawer, "--texts", tmp_path / "texts", "--top", 3)
    status, out, err = limner(*words, "--json")
    assert status == 0 and "skipped" in err
    answer = json.loads(out)
    ready = load_drawer(drawer)
    assert [each["reason"] for each in answer["skipped"]] and len(answer["pictures"]) == 2
    for each in answer["pictures"]:
        codes = ready.codes([opened(each["path"])]).expand(3, -1)
        found = likelihoods(ready.model, ready.tokenizer.encode(texts, 8)[0], codes)
        joint = (found.text + found.picture).double().exp()
        expected = dict(zip(texts, (joint / joint.sum()).tolist(), strict=True))
        told_probabilities = {caption["text"]: caption["probability"] for caption in each["captions"]}
        assert told_probabilities == pytest.approx(expected, abs=1e-4)
        assert list(told_probabilities.values()) == sorted(told_probabilities.values(), reverse=True)
    assert "a red circle" in limner(*words)[1]


def test_without_candidates_the_model_makes_up_texts(limner, drawer: Path, photos: Path) -> None:
    words = ("caption", photos, "--model", drawer, "-n", 12, "--top", 2, "--json")
    status, out, err = limner(*words)
    assert status == 0 and "12 texts drawn from the model" in err
    found = json.loads(out)["pictures"]
    assert [len(each["captions"]) for each in found] == [2, 2] and limner(*words)[1] == out
    assert limner(*words, "--seed", 1)[1] != out


def test_captions_of_nothing_are_one_sentence(limner, drawer: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert "holds no text" in limner("caption", photos, "--texts", tmp_path / "empty", "--model", drawer)[2]
    assert "cannot be read" in limner("caption", photos, "--texts", tmp_path / "none", "--model", drawer)[2]
    assert "known: dalle" in limner("caption", photos, "--with", "clip", "--model", drawer)[2]
    (tmp_path / "a.png").write_bytes(b"")
    assert "can be read" in limner("caption", tmp_path / "a.png", "--model", drawer)[2]


@pytest.fixture
def collection(limner, photos: Path, model: Path, tmp_path: Path) -> Path:
    """One whose model is so calibrated that words for a picture are at most as likely as their cosine says."""
    shutil.copytree(model, tmp_path / "clip")
    fingerprint = load_embedder(tmp_path / "clip").fingerprint
    curve = Curve(method="platt", slope=0.01, intercept=0.0)
    write_calibration(tmp_path / "clip", Calibration(fingerprint=fingerprint, text=curve, picture=curve))
    assert limner("index", photos, "--to", tmp_path / "c", "--model", tmp_path / "clip")[0] == 0
    return tmp_path / "c"


def test_a_search_draws_what_it_does_not_find(limner, collection: Path, drawer: Path, tmp_path: Path) -> None:
    words = ("search", collection, "a red circle", "--top", 3, "--or-draw", "--drawer", drawer, "--json")
    sheet = tmp_path / "sheet.png"
    status, out, err = limner(*words, "--sheet", sheet, "--min-relevance", 0.9)
    answer = json.loads(out)
    assert status == 0 and answer["hits"] == [] and "drawing it" in err
    scores = [each["score"] for each in answer["drawn"]["drawings"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True) and sheet.is_file()
    status, out, _ = limner(*words, "--sheet", sheet, "--min-relevance", 0.1)
    assert status == 0 and len(json.loads(out)["hits"]) == 2 and "drawn" not in json.loads(out)


def test_all_commands_draw_in_the_same_manner_unless_told(
    limner, draw, collection: Path, drawer: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manners: list[Sampling] = []
    plain = drawing.Drawer.draw
    monkeypatch.setattr(
        drawing.Drawer, "draw", lambda *words, **options: manners.append(options["how"]) or plain(*words, **options)
    )
    draw("a red circle", "-n", 1)
    limner("complete", photos / "red.png", "-n", 1, "--model", drawer, "--ranker", "none", "--out", tmp_path / "b")
    to_draw = ("--or-draw", "--drawer", drawer, "--min-relevance", 0.9, "--sheet", tmp_path / "a.png")
    limner("search", collection, "a red circle", *to_draw)
    assert manners == [Sampling(guidance=GUIDANCE, top_p=TOP_P)] * 3


def test_or_draw_says_what_it_needs(limner, collection: Path, drawer: Path, photos: Path, tmp_path: Path) -> None:
    sheet = ("--sheet", tmp_path / "a.png")
    assert "--or-draw needs --min-relevance" in limner("search", collection, "fox", "--or-draw", *sheet)[2]
    assert "--sheet FILE" in limner("search", collection, "fox", "--or-draw", "--min-relevance", 1)[2]
    words = ("search", collection, "--picture", photos / "red.png", "--or-draw", "--min-relevance", 1, *sheet)
    assert "the query has none" in limner(*words)[2]


def test_an_export_is_whole_and_half_as_large(limner, drawer: Path, draw, tmp_path: Path) -> None:
    status, out, err = limner("export", drawer, tmp_path / "small", "--json")
    assert status == 0, err
    size = sum(path.stat().st_size for path in tmp_path.glob("small/**/*.safetensors"))
    assert size < 0.7 * sum(path.stat().st_size for path in drawer.glob("**/*.safetensors"))
    assert json.loads(out)["size_bytes"] > size
    assert draw("a red circle", model=tmp_path / "small", out=tmp_path / "b")[0] == 0
    assert draw("a red circle", out=tmp_path / "a")[0] == 0
    one, two = (
        np.frombuffer(b"".join(pixels(tmp_path / name).values()), np.uint8).astype(float) for name in ("a", "b")
    )
    assert np.abs(one - two).mean() < 3  # rounded weights: nearly the same drawings
