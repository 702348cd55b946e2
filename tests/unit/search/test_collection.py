import lancedb
import numpy as np
import pytest
from PIL import Image
from tests.photos import CountingEmbedder, collect, paint

from limner.errors import CollectionError, PictureError, UsageError
from limner.search.collection import Collection
from limner.search.query import parse_query


@pytest.fixture
def collection(tmp_path):
    for colour in ("red", "green", "blue", "black"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    (tmp_path / "photos" / "red.txt").write_text("it's a rose")
    return collect(tmp_path / "photos", tmp_path / "collection")[0]


def test_words_in_both_languages_and_pictures_find_the_same(collection, tmp_path):
    picture = tmp_path / "photos" / "blue.png"
    found = [collection.search(query, top=1)[0] for query in ("blue", "синий", picture, Image.open(picture))]
    assert {hit.path for hit in found} == {str(picture)}
    assert found[0].rank == 1
    assert found[0].score == pytest.approx(1, abs=1e-3)


def test_hits_come_in_the_order_of_their_scores(collection):
    hits = collection.search("red blue", top=3)
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_mixture_adds_and_subtracts(collection):
    hits = collection.search(parse_query("2:red", plus=["blue"], minus=["green"]), top=4)
    assert [hit.path.split("/")[-1] for hit in hits] == ["red.png", "blue.png", "black.png", "green.png"]


def test_top_may_be_larger_than_the_collection(collection):
    assert len(collection.search("red", top=1000)) == 4


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_empty_words_are_refused(collection, query):
    with pytest.raises(UsageError, match="empty"):
        collection.search(query)


def test_parts_that_cancel_each_other_are_refused(collection):
    with pytest.raises(UsageError, match="cancel"):
        collection.search(parse_query("red", minus=["red"]))


def test_a_missing_picture_is_named(collection, tmp_path):
    with pytest.raises(PictureError, match="nowhere.png"):
        collection.search(tmp_path / "nowhere.png")


def test_a_picture_asked_with_is_left_out_with_its_copies_and_nothing_else(collection, tmp_path):
    red = tmp_path / "photos" / "red.png"
    (tmp_path / "photos" / "copy.png").write_bytes(red.read_bytes())
    collection.sync(tmp_path / "photos")
    hits = collection.search(red, top=3, exclude_itself=True)
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert {hit.path.split("/")[-1] for hit in hits} == {"blue.png", "green.png", "black.png"}
    mixed = collection.search(parse_query("red", plus=[f"@{red}"]), exclude_itself=True)
    assert {hit.path for hit in mixed} == {hit.path for hit in hits}
    assert len(collection.search("red", exclude_itself=True)) == 5
    with pytest.raises(UsageError, match="its path"):
        collection.search(Image.open(red), exclude_itself=True)


def test_zero_hits_cannot_be_asked_for(collection):
    with pytest.raises(UsageError, match="top"):
        collection.search("red", top=0)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("caption = 'it''s a rose'", ["red.png"]),
        ("caption IS NULL AND width >= 48", ["black.png", "blue.png", "green.png"]),
        ("path LIKE '%bl%'", ["black.png", "blue.png"]),
        ("PATH LIKE '%/red.png' OR path LIKE '%green%'", ["green.png", "red.png"]),
        ("id = ''' OR 1=1'", []),
        ('"width" >= 48 AND "caption" LIKE \'%rose%\'', ["red.png"]),
        ('caption = "it\'s a rose"', ["red.png"]),
        ("caption = 'say \"width\"'", []),
        ("caption = '; -- /*'", []),
        ("1 = 0", []),
    ],
)
def test_conditions_choose_the_pictures(collection, where, expected):
    assert sorted(hit.path.split("/")[-1] for hit in collection.search("red", where=where)) == expected


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("colour = 'red'", "no column colour; known columns: caption, captions, content"),
        ("", "empty"),
        ("width >", "known columns"),
        ("width", "known columns"),
        ("width = 'a' AND", "known columns"),
        ("1=1; DROP TABLE pictures", "one condition"),
        ("1=1 -- and more", "one condition"),
        ("id IN (SELECT id FROM pictures)", "known columns"),
        ("1=1) OR (1=1", "do not match"),
        ("(width > 1", "do not match"),
        ("width > 1 LIMIT 1", "known columns"),
        ("width > 1 GROUP BY id", "known columns"),
        ("read_text('/etc/passwd') = 'x'", "known columns"),
        ("1 / (width - width) = 1", r"Divide by zero.*known columns"),
        ("regexp_match(path, '(') IS NULL", "known columns"),
    ],
)
def test_what_is_no_condition_is_refused(collection, where, reason):
    with pytest.raises(UsageError, match="(?i)" + reason.replace("(", r"\(")):
        collection.search("red", where=where)
    assert len(collection) == 4


def test_an_empty_collection_answers_nothing(tmp_path):
    collection = Collection.create(tmp_path / "collection", CountingEmbedder())
    assert collection.search("red") == []
    assert collection.search(parse_query("red", plus=["blue"])) == []


def test_one_picture_is_found_by_everything(tmp_path):
    paint(tmp_path / "photos" / "red.png", "red")
    collection, _ = collect(tmp_path / "photos", tmp_path / "collection")
    assert len(collection.search("blue")) == 1
    assert len(collection.search(parse_query("red", plus=["blue"]))) == 1


def test_a_folder_that_is_no_collection_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(CollectionError, match="limner index"):
            Collection.open(path)


def test_nothing_is_written_over(tmp_path, collection):
    with pytest.raises(CollectionError, match="not empty"):
        Collection.create(tmp_path / "photos", CountingEmbedder())
    with pytest.raises(CollectionError, match="already holds a collection"):
        Collection.create(collection.path, CountingEmbedder())
    (tmp_path / "new").mkdir()
    assert len(Collection.create(tmp_path / "new", CountingEmbedder())) == 0


@pytest.mark.parametrize(
    "damage",
    [b"{", b"[]", b'{"model": 1}', b'{"format": 99}', b'{"unknown": 1}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda damage: damage[:12],
)
def test_a_damaged_description_is_told(collection, damage):
    (collection.path / "collection.json").write_bytes(damage)
    with pytest.raises(CollectionError, match=r"damaged|later version"):
        Collection.open(collection.path)


def test_a_missing_table_is_told(collection):
    for file in (collection.path / "pictures.lance" / "_versions").iterdir():
        file.unlink()
    with pytest.raises(CollectionError, match="index the pictures again"):
        Collection.open(collection.path)


def test_facts_are_json_values(collection):
    facts = collection.facts()
    assert facts["num_pictures"] == 4
    assert facts["index"] == "exact"
    assert facts["recall@10"] == 1.0
    assert facts["size_bytes"] > 0
    assert "caption" in facts["columns"] and "vector" not in facts["columns"]


def test_lancedb_opens_a_collection(collection):
    table = lancedb.connect(collection.path).open_table("pictures")
    query = np.array([1, 0, 0, 0, 0], dtype=np.float32)
    found = table.search(query, vector_column_name="vector").select(["path", "_distance"]).limit(1).to_list()
    assert found[0]["path"] == collection.search("red", top=1)[0].path
