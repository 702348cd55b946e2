import json

import pytest
from PIL import Image
from tests.colours import write_tiny_model
from tests.command import finish, start
from tests.photos import paint, paint_some

from limner.search.collection import Collection
from limner.services.indexing import index_pictures


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for colour in ("red", "green", "blue"):
        paint(folder / f"{colour}.png", colour)
    (folder / "red.txt").write_text("a red square")
    return folder


@pytest.fixture
def collection(limner, photos, model, tmp_path):
    status, out, _ = limner("index", photos, "--to", tmp_path / "collection", "--model", model)
    assert status == 0
    assert "3 pictures (3 added)" in out
    return tmp_path / "collection"


def one_error(err: str) -> str:
    lines = [line for line in err.splitlines() if not line.startswith("saved ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    return lines[0]


def test_index_again_reports_what_it_did(limner, collection, photos):
    paint(photos / "black.png", "black")
    (photos / "red.png").rename(photos / "rose.png")
    (photos / "bad.png").write_bytes(b"GIF89a")
    status, out, err = limner("index", "--to", collection, "--json")
    report = json.loads(out)
    assert status == 0
    assert {name: report[name] for name in ("num_pictures", "added", "renamed", "updated", "unchanged")} == {
        "num_pictures": 4,
        "added": 1,
        "renamed": 1,
        "updated": 0,
        "unchanged": 2,
    }
    assert [skipped["path"] for skipped in report["skipped"]] == [str(photos / "bad.png")]
    assert "saved 5 of 5 pictures" in err


def test_search_prints_one_object(limner, collection, photos):
    status, out, _ = limner("search", collection, "a red square", "--top", 2, "--json")
    answer = json.loads(out)
    assert status == 0
    assert answer["query"] == "a red square"
    assert [sorted(hit) for hit in answer["hits"]] == [["caption", "id", "path", "rank", "score"]] * 2
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]


def test_a_picture_finds_itself_and_a_mixture_its_parts(limner, collection, photos):
    _, out, _ = limner("search", collection, "--picture", photos / "blue.png", "--json")
    hits = json.loads(out)["hits"]
    assert (hits[0]["path"], hits[0]["score"]) == (str(photos / "blue.png"), pytest.approx(1, abs=2e-3))
    words = ("2:red", "--plus", f"0.5:@{photos / 'red.png'}", "--minus", f"@{photos / 'blue.png'}")
    status, out, _ = limner("search", collection, *words, "--json")
    answer = json.loads(out)
    assert status == 0
    assert answer["query"] == f"2:red + 0.5:@{photos / 'red.png'} - @{photos / 'blue.png'}"
    assert len(answer["hits"]) == 3


def test_a_picture_asked_with_is_left_out_on_request(limner, collection, photos, tmp_path):
    """By its bytes: a copy elsewhere asks for the same, and the others move up, as many as wanted."""
    paint(tmp_path / "elsewhere.png", "green")
    words = ("search", collection, "--exclude-itself", "--top", 2, "--json", "--picture")
    for asked in (photos / "green.png", tmp_path / "elsewhere.png"):
        hits = json.loads(limner(*words, asked)[1])["hits"]
        assert [hit["rank"] for hit in hits] == [1, 2]
        assert {hit["path"] for hit in hits} == {str(photos / "red.png"), str(photos / "blue.png")}
    (tmp_path / "queries.txt").write_text(f"a red square\n@{photos / 'blue.png'}\n")
    answers = limner("search", collection, "--exclude-itself", "--json", "--queries", tmp_path / "queries.txt")[1]
    assert [len(json.loads(line)["hits"]) for line in answers.splitlines()] == [3, 2]
    status, _, err = limner("search", collection, "a red square", "--exclude-itself")
    assert status == 2 and "--picture" in err
    status, out, err = limner(*words, photos / "red.png", "--where", "path LIKE '%red%'")
    assert (status, json.loads(out)["hits"]) == (0, [])


def test_the_only_picture_of_a_collection_has_no_like(limner, model, tmp_path):
    asked = paint(tmp_path / "one" / "red.png", "red")
    assert limner("index", tmp_path / "one", "--to", tmp_path / "c", "--model", model)[0] == 0
    status, _, err = limner("search", tmp_path / "c", "--picture", asked, "--exclude-itself")
    assert status == 0 and "no other picture" in err


def test_people_see_a_table_with_short_paths(limner, collection, photos, monkeypatch):
    monkeypatch.chdir(photos)
    status, out, _ = limner("search", collection, "red", "--where", "caption LIKE '%red%'")
    assert status == 0
    assert "red.png" in out and "a red square" in out
    assert str(photos) not in out
    status, out, err = limner("search", collection, "red", "--where", "width > 9000")
    assert (status, out, err) == (0, "", "no picture fulfils the condition\n")


def test_names_are_shown_without_control_characters(limner, photos, model, tmp_path):
    (photos / "red.png").rename(photos / "re\x1bd.png")
    limner("index", photos, "--to", tmp_path / "other", "--model", model)
    for words in (
        ("search", tmp_path / "other", "red"),
        ("classify", photos, "--labels", "red,blue", "--model", model),
    ):
        status, out, _ = limner(*words)
        assert status == 0 and "\x1b" not in out
    assert str(photos / "re\x1bd.png") in {
        hit["path"] for hit in json.loads(limner("search", tmp_path / "other", "red", "--json")[1])["hits"]
    }


def test_a_sheet_shows_the_hits_even_when_one_is_gone(limner, collection, photos, tmp_path):
    (photos / "green.png").unlink()
    status, _, _ = limner("search", collection, "red", "--sheet", tmp_path / "sheet.png")
    assert status == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert {(255, 0, 0), (0, 0, 255)} <= {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}


def test_a_file_of_queries_is_answered_line_by_line(limner, collection, photos, tmp_path):
    lines = [
        "red fox",
        json.dumps({"text": "red", "top": 1}),
        json.dumps({"picture": str(photos / "red.png"), "minus": ["blue"], "where": "caption IS NOT NULL"}),
        "синий квадрат",
    ]
    (tmp_path / "queries.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, out, _ = limner("search", collection, "--queries", tmp_path / "queries.txt")
    answers = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [len(answer["hits"]) for answer in answers] == [3, 1, 1, 3]
    assert answers[3]["query"] == "синий квадрат"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("red\n\nblue\n", "line 2"),
        ("  \n", "no query"),
        ('{"text": "red"', "JSON"),
        ('{"words": "red"}', "unknown key 'words'"),
        ('{"text": 3}', "'text' takes"),
        ('{"minus": ["red"]}', "count for it"),
        ('red\n{"text": "red", "plus": ["blue", null]}', "line 2: 'plus' takes"),
        ('red\n{"text": "red", "top": 0}', "line 2: 'top' must be at least 1"),
        ('{"a":' * 50_000, "JSON"),
        ('{"top": 1' + "0" * 5_000 + "}", "JSON"),
    ],
)
def test_a_file_with_a_bad_query_is_refused_as_a_whole(limner, collection, tmp_path, lines, reason):
    (tmp_path / "queries.txt").write_text(lines)
    status, out, err = limner("search", collection, "--queries", tmp_path / "queries.txt")
    assert (status, out) == (2, "")
    assert reason in one_error(err)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ('{"picture": "nowhere.png"}', 1, "line 2: nowhere.png does not exist"),
        ('{"text": "red", "where": "colour = 1"}', 2, "line 2: --where: there is no column colour"),
    ],
)
def test_a_query_of_a_file_that_cannot_be_answered_is_named(limner, collection, tmp_path, line, status, reason):
    (tmp_path / "queries.txt").write_text(f"red\n{line}\n")
    found, out, err = limner("search", collection, "--queries", tmp_path / "queries.txt")
    assert (found, len(out.splitlines())) == (status, 1)
    assert reason in one_error(err)


def test_info_misses_a_lost_file_of_the_store(limner, collection):
    assert limner("info", collection)[0] == 0
    next((collection / "pictures.lance" / "data").iterdir()).unlink()
    status, out, err = limner("info", collection)
    assert (status, out) == (1, "")
    assert "is missing" in one_error(err) and "index the pictures again" in err


def test_info_tells_people_and_programs(limner, collection, photos, model):
    (photos / "bad.png").write_bytes(b"bad")
    limner("index", "--to", collection)
    status, out, _ = limner("info", collection)
    assert status == 0
    assert "exact (recall@10 1.000)" in out and "bad.png" in out
    facts = json.loads(limner("info", collection, "--json")[1])
    assert (facts["num_pictures"], facts["model"], facts["recall@10"]) == (3, str(model), 1.0)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["search", "{c}", "   "], 2, "empty"),
        (["search", "{c}"], 2, "needs words or a picture"),
        (["search", "{c}", "red", "--where", "colour = 1"], 2, "known columns: caption"),
        (["search", "{c}", "red", "--picture", "{t}/none.png"], 1, "does not exist"),
        (["search", "{t}", "red"], 1, "not a collection"),
        (["search", "{t}/none", "red"], 1, "does not exist"),
        (["search", "{c}", "red", "--queries", "x"], 2, "stands alone"),
        (["search", "{c}", "red", "--sheet", "{t}/sheet.txt"], 2, "--sheet"),
        (["search", "{c}", "red", "--model", "{m2}"], 1, "other weights"),
        (["index", "{t}/photos", "--to", "{c}", "--model", "{m2}"], 1, "--reindex"),
        (["index", "{t}/photos", "--to", "{c}", "--model", "{t}/photos"], 1, "not a model"),
        (["index", "{t}/none", "--to", "{c}"], 1, "no file or folder"),
        (["index", "{t}/empty", "--to", "{t}/new"], 1, "no pictures in"),
        (["index", "{t}/bad", "--to", "{t}/new", "--model", "{m}"], 1, "none of the 1 pictures can be read"),
        (["index", "{t}/photos", "--to", "{t}/photos", "--model", "{m}"], 1, "not empty"),
        (["index", "--to", "{t}/new"], 1, "name the pictures"),
        (["index", "{t}/photos", "--to", "{t}/new", "--model", "{m}", "--metadata", "{t}/none.csv"], 1, "none.csv"),
        (["info", "{t}"], 1, "not a collection"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    limner, collection, photos, model, tmp_path, words, status, reason
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"not a picture")
    other = write_tiny_model(tmp_path / "other")
    config = other / "tokenizer.json"
    config.write_text(config.read_text() + "\n")
    names = {"c": collection, "t": tmp_path, "m": model, "m2": other}
    found, out, err = limner(*(word.format(**names) for word in words))
    assert (found, out) == (status, "")
    assert reason in one_error(err)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_model_whose_weights_changed_is_told(limner, collection, model, tmp_path):
    facts = json.loads((collection / "collection.json").read_text())
    moved = write_tiny_model(tmp_path / "moved")
    (collection / "collection.json").write_text(json.dumps({**facts, "model": str(moved)}))
    assert limner("search", collection, "red", "--json")[0] == 0
    (moved / "tokenizer.json").write_text((moved / "tokenizer.json").read_text() + " ")
    status, _, err = limner("search", collection, "red")
    assert status == 1 and "--reindex" in one_error(err)
    status, out, _ = limner("index", "--to", collection, "--reindex", "--json")
    assert (status, json.loads(out)["added"]) == (0, 3)
    assert limner("search", collection, "red", "--json")[0] == 0


def test_a_full_disk_is_told_and_nothing_saved_is_lost(model, tmp_path):
    paint_some(tmp_path / "photos", 130)
    to = tmp_path / "collection"
    status, out, err = finish("index", tmp_path / "photos", "--to", to, "--model", model, disk_blocks=6)
    assert (status, out) == (1, "")
    assert "the disk is full" in one_error(err)
    assert not to.exists() and not list(tmp_path.glob(".*"))
    assert index_pictures([tmp_path / "photos"], to, model=str(model)).added == 130
    paint_some(tmp_path / "more", 130)
    assert "the disk is full" in one_error(finish("index", tmp_path / "more", "--to", to, disk_blocks=6)[2])
    assert len(Collection.open(to).search("red", top=500)) == 130


def test_two_at_once_on_one_collection_do_no_harm(model, tmp_path):
    paint_some(tmp_path / "photos", 200)
    to = tmp_path / "collection"
    with (
        start("index", tmp_path / "photos", "--to", to, "--model", model) as first,
        start("index", tmp_path / "photos", "--to", to, "--model", model) as second,
    ):
        ended = [(process.communicate(timeout=200), process.returncode) for process in (first, second)]
    assert 0 in [status for _, status in ended]
    for (_, err), status in ended:
        assert status == 0 or "another process" in one_error(err) or "already holds" in one_error(err)
    assert len(Collection.open(to)) == 200
    assert len(list(to.iterdir())) == 4
