import json
import os
import shutil
from pathlib import Path

import pytest
from tests.photos import CountingEmbedder, collect, paint, paint_some
from tests.shapes import shape_records

from limner.data.picture_set import PictureSet
from limner.errors import CollectionError, DataError
from limner.search.collection import Collection
from limner.search.manifest import read_manifest


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for colour in ("red", "green", "blue"):
        paint(folder / f"{colour}.png", colour)
    return folder


@pytest.fixture
def indexed(photos, tmp_path):
    return collect(photos, tmp_path / "collection")


def names(collection, **search):
    return [Path(hit.path).name for hit in collection.search("red", **search)]


def test_a_second_sync_embeds_nothing(indexed):
    collection, embedder = indexed
    report = collection.sync()
    assert (report.unchanged, report.embedded, embedder.seen) == (3, 0, 3)


def test_a_new_picture_alone_is_embedded(indexed, photos):
    collection, embedder = indexed
    paint(photos / "deep" / "black.png", "black")
    report = collection.sync(photos)
    assert (report.added, report.unchanged, report.num_pictures, embedder.seen) == (1, 3, 4, 4)


def test_a_changed_picture_is_embedded_again_under_its_id(indexed, photos):
    collection, embedder = indexed
    before = collection.search("green", top=1)[0]
    paint(photos / "green.png", "black", size=12)
    report = collection.sync()
    after = collection.search("black", top=1)[0]
    assert (report.changed, report.added, embedder.seen) == (1, 0, 4)
    assert (after.id, after.path) == (before.id, before.path)


def test_a_touched_picture_is_not_embedded(indexed, photos):
    collection, embedder = indexed
    os.utime(photos / "red.png", (1, 1))
    assert collection.sync().updated == 1
    assert embedder.seen == 3
    assert collection.sync().unchanged == 3


def test_a_renamed_picture_keeps_its_id_and_is_not_embedded(indexed, photos):
    collection, embedder = indexed
    before = collection.search("red", top=1)[0]
    (photos / "other").mkdir()
    (photos / "red.png").rename(photos / "other" / "crimson.png")
    report = collection.sync()
    after = collection.search("red", top=1)[0]
    assert (report.renamed, report.deleted, report.num_pictures, embedder.seen) == (1, 0, 3, 3)
    assert after.id == before.id
    assert after.path.endswith("other/crimson.png")


def test_pictures_that_swap_names_are_told_apart(indexed, photos):
    collection, _ = indexed
    (photos / "red.png").rename(photos / "x")
    (photos / "blue.png").rename(photos / "red.png")
    (photos / "x").rename(photos / "blue.png")
    collection.sync()
    assert names(collection, top=1) == ["blue.png"]


def test_a_deleted_picture_is_forgotten(indexed, photos):
    collection, _ = indexed
    (photos / "red.png").unlink()
    assert collection.sync().deleted == 1
    assert sorted(names(collection)) == ["blue.png", "green.png"]


def test_a_copy_is_another_picture(indexed, photos):
    collection, _ = indexed
    shutil.copy(photos / "red.png", photos / "again.png")
    report = collection.sync()
    ids = [hit.id for hit in collection.search("red", top=2)]
    assert (report.added, report.renamed) == (1, 0)
    assert ids[1] == f"{ids[0]}-2" or ids[0] == f"{ids[1]}-2"


def test_another_folder_is_added_and_the_first_stays(indexed, tmp_path):
    collection, _ = indexed
    paint(tmp_path / "more" / "black.png", "black")
    assert collection.sync(tmp_path / "more").num_pictures == 4
    (tmp_path / "photos" / "red.png").unlink()
    assert collection.sync(tmp_path / "more").num_pictures == 4
    assert collection.sync().num_pictures == 3


def test_a_folder_that_has_become_empty_does_not_empty_the_collection(indexed, photos):
    collection, _ = indexed
    for path in photos.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no pictures in"):
        collection.sync()
    assert len(collection) == 3


def test_single_files_that_are_gone_are_forgotten(tmp_path):
    files = [paint(tmp_path / "photos" / f"{colour}.png", colour) for colour in ("red", "green")]
    collection = Collection.create(tmp_path / "collection", CountingEmbedder())
    collection.sync(files)
    files[0].unlink()
    assert collection.sync(files[1:]).deleted == 1


def test_a_pattern_finds_pictures_in_subfolders(photos, tmp_path):
    paint(photos / "deep" / "black.png", "black")
    collection = Collection.create(tmp_path / "collection", CountingEmbedder())
    assert collection.sync(f"{photos}/**/b*.png").num_pictures == 2


def test_a_picture_that_cannot_be_read_is_tried_again_only_when_it_changes(indexed, photos):
    collection, embedder = indexed
    (photos / "bad.png").write_bytes(b"no picture")
    first, second = collection.sync(), collection.sync()
    assert [skipped.path for skipped in first.skipped] == [str(photos / "bad.png")]
    assert second.skipped == first.skipped
    paint(photos / "bad.png", "black")
    third = collection.sync()
    assert (third.added, third.skipped, embedder.seen) == (1, (), 4)
    assert collection.sync().skipped == ()


def test_an_indexed_picture_that_breaks_is_no_longer_found(indexed, photos):
    collection, _ = indexed
    (photos / "red.png").write_bytes(b"broken")
    report = collection.sync()
    assert (report.num_pictures, len(report.skipped)) == (2, 1)
    (photos / "red.png").unlink()
    assert collection.sync().skipped == ()


def test_captions_and_values_of_side_files_follow_their_changes(indexed, photos):
    collection, embedder = indexed
    (photos / "red.txt").write_text("a red square\nsomething red")
    (photos / "red.ru.txt").write_text("красный квадрат")
    (photos / "blue.json").write_text(json.dumps({"caption": "sea", "tags": ["water"], "year": 1999, "Who?": "Ann"}))
    assert collection.sync().updated == 2
    assert collection.search("red", top=1)[0].caption == "a red square"
    assert names(collection, where="year > 1990 AND who = 'Ann'") == ["blue.png"]
    assert names(collection, where="array_has(captions, 'красный квадрат')") == ["red.png"]
    assert names(collection, where="array_has(tags, 'water')") == ["blue.png"]
    (photos / "blue.json").unlink()
    collection.sync()
    assert names(collection, where="year IS NOT NULL") == []
    assert embedder.seen == 3


def test_a_side_file_that_leads_nowhere_costs_the_caption_alone(photos, tmp_path):
    (photos / "red.txt").symlink_to(tmp_path / "captions.txt")
    os.mkfifo(photos / "blue.txt")
    collection, _ = collect(photos, tmp_path / "collection")
    assert len(collection) == 3
    (tmp_path / "captions.txt").write_text("a rose")
    assert collection.sync().updated == 1
    assert collection.search("red", top=1)[0].caption == "a rose"


def test_a_number_beyond_all_numbers_is_left_out(photos, tmp_path):
    (photos / "red.json").write_text('{"caption": "rose", "year": ' + "9" * 400 + "}")
    collection, _ = collect(photos, tmp_path / "collection")
    assert collection.search("red", top=1)[0].caption == "rose"
    assert names(collection, where="width > 0") and "year" not in collection.facts()["columns"]


def test_columns_of_a_table_of_metadata_can_be_asked_for(indexed, photos, tmp_path):
    collection, embedder = indexed
    table = tmp_path / "values.csv"
    table.write_text("path,price,shop,caption\nphotos/red.png,12.5,north,rose\nphotos/blue.png,3,south,\n")
    collection.sync(metadata=table)
    assert names(collection, where="price < 5") == ["blue.png"]
    assert collection.search("red", top=1)[0].caption == "rose"
    table.write_text("path,price,shop,caption\nphotos/red.png,1,north,rose\n")
    assert collection.sync().updated == 2
    assert names(collection, where="price < 5") == ["red.png"]
    assert embedder.seen == 3


def test_a_table_of_metadata_is_read_as_people_write_it(indexed, photos, tmp_path):
    collection, _ = indexed
    table = tmp_path / "values.csv"
    table.write_bytes('path;price;caption\nphotos/red.png;12;"красный\nквадрат"\n'.encode("cp1251"))
    collection.sync(metadata=table)
    assert names(collection, where="price = 12") == ["red.png"]
    assert collection.search("red", top=1)[0].caption == "красный квадрат"
    table.write_text("path,note\nphotos/red.png," + "x" * 200_000 + "\n")
    assert collection.sync().updated == 1
    table.write_text("path,note\nphotos/red.png," + "x" * 5_000_000 + "\n")
    with pytest.raises(DataError, match="is damaged"):
        collection.sync()


def test_a_text_in_a_column_of_numbers_is_left_out(indexed, photos):
    collection, _ = indexed
    (photos / "red.json").write_text('{"year": 2001}')
    collection.sync()
    (photos / "blue.json").write_text('{"year": "long ago", "id": "x", "vector": [1], "width": 7}')
    collection.sync()
    assert sorted(names(collection, where="year IS NULL AND width = 48")) == ["blue.png", "green.png"]
    assert names(collection, where="year > 2000") == ["red.png"]


def test_a_picture_set_is_followed_with_its_texts(tmp_path):
    PictureSet.write(tmp_path / "set", shape_records())
    collection, embedder = collect(tmp_path / "set", tmp_path / "collection")
    hit = collection.search("black", top=1, where="concept = 'black circle'")[0]
    assert (hit.id, hit.caption) == ("black-circle-12", "a black circle")
    assert collection.sync().unchanged == 48
    PictureSet.write(tmp_path / "set", shape_records(sizes=(9, 12)))
    report = collection.sync()
    assert (report.deleted, report.updated, report.num_pictures, embedder.seen) == (24, 24, 24, 48)


def test_pictures_of_a_set_that_is_not_looked_at_stay(tmp_path):
    PictureSet.write(tmp_path / "set", shape_records(sizes=(9,)))
    collection, _ = collect(tmp_path / "set", tmp_path / "collection")
    for record in shape_records(sizes=(9,)):
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / f"{record.id}.png").write_bytes(record.picture)
    report = collection.sync(tmp_path / "files")
    assert (report.added, report.renamed, report.deleted, report.num_pictures) == (12, 0, 0, 24)


def test_names_full_of_quotes_and_marks_do_no_harm(tmp_path):
    odd = [
        "a'; DROP TABLE pictures;--.png",
        'b"b.png',
        "c%_\\.png",
        "d#e.png",
        "[f]*.png",
        "г рыба.png",
        "x' OR '1'='1.png",
    ]
    for number, name in enumerate(odd):
        paint(tmp_path / "photos" / name, "red", size=5 + number)
    collection, embedder = collect(tmp_path / "photos", tmp_path / "collection")
    assert sorted(names(collection)) == sorted(odd)
    (tmp_path / "photos" / odd[0]).write_bytes(b"broken")
    (tmp_path / "photos" / odd[-1]).unlink()
    report = collection.sync()
    assert (report.num_pictures, report.deleted, len(report.skipped)) == (len(odd) - 2, 1, 1)
    assert collection.sync().unchanged == len(odd) - 2


def test_nothing_else_can_write_meanwhile(indexed):
    collection, _ = indexed
    with collection._writing(), pytest.raises(CollectionError, match="being written by another process"):
        Collection.open(collection.path, CountingEmbedder()).sync()


def test_a_reader_sees_what_a_writer_adds(indexed, photos):
    collection, embedder = indexed
    reader = Collection.open(collection.path, CountingEmbedder())
    assert len(reader.search("red")) == 3
    paint(photos / "black.png", "black")
    collection.sync()
    assert len(reader.search("red")) == len(reader) == 4


def test_another_model_is_refused_until_all_is_embedded_anew(indexed, photos):
    collection, _ = indexed
    reader = Collection.open(collection.path, CountingEmbedder())
    other = CountingEmbedder("others")
    with pytest.raises(CollectionError, match="--reindex"):
        Collection.open(collection.path, other)
    report = collection.reindex(other)
    assert (report.added, other.seen) == (3, 3)
    assert read_manifest(collection.path).fingerprint == "others"
    assert len(Collection.open(collection.path, other).search("red")) == 3
    assert len(list(collection.path.glob("*.lance"))) == 2
    with pytest.raises(CollectionError):
        reader.search("red")


def test_many_syncs_do_not_pile_up_files(tmp_path):
    paint_some(tmp_path / "photos", 3)
    collection, _ = collect(tmp_path / "photos", tmp_path / "collection")
    for round in range(8):
        paint(tmp_path / "photos" / f"more{round}.png", "red", size=4 + round)
        collection.sync()
    assert len(list((collection.path / "pictures.lance" / "data").iterdir())) <= 20
    assert collection._table.dataset.stats.dataset_stats()["num_fragments"] == 1
