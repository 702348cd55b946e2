import json

import numpy as np
import pyarrow as pa
import pytest
from tests.photos import CountingEmbedder, paint, paint_some

from limner.search import collection as collections
from limner.search import retrieve
from limner.search.collection import Collection
from limner.search.resident import Resident, nearest_cell, train_centroids
from limner.search.rows import schema_of
from limner.search.store import Table

_ROWS, _DIM = 3000, 32


def clustered(rows: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((40, _DIM))
    vectors = centres[random.integers(0, 40, rows)] + 0.6 * random.standard_normal((rows, _DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def rows_of(vectors: np.ndarray, start: int = 0) -> pa.Table:
    numbers = [f"{number:06d}" for number in range(start, start + len(vectors))]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), _DIM)
    return pa.table({"id": numbers, "path": [f"/{number}" for number in numbers], "vector": flat})


def truth(vectors: np.ndarray, query: np.ndarray, top: int = 10) -> list[str]:
    scores = vectors.astype(np.float32) @ query
    return [f"{number:06d}" for number in np.lexsort((np.arange(len(scores)), -scores))[:top]]


@pytest.fixture
def small_threshold(monkeypatch):
    monkeypatch.setattr(retrieve, "INDEX_ABOVE", 1000)


@pytest.fixture
def table(tmp_path, small_threshold):
    table = Table.create(tmp_path / "pictures.lance", schema_of(_DIM))
    table.append(rows_of(clustered(_ROWS)))
    return table


queries = clustered(40, seed=7).astype(np.float32)


def test_a_search_in_memory_is_exact(tmp_path):
    vectors = clustered(900)
    table = Table.create(tmp_path / "pictures.lance", schema_of(_DIM))
    table.append(rows_of(vectors))
    retriever = retrieve.Retriever(table)
    for query in queries:
        hits = retriever.search(query, 10, None, None)
        assert [hit.id for hit in hits] == truth(vectors, query)
        assert [hit.score for hit in hits] == pytest.approx(
            np.sort(vectors.astype(np.float32) @ query)[::-1][:10].tolist(), abs=1e-5
        )


def test_all_cells_give_the_exact_answer_and_some_give_most_of_it():
    vectors = clustered(_ROWS)
    centroids = train_centroids(vectors, 50)
    resident = Resident.build(vectors, np.arange(_ROWS), centroids, np.full(_ROWS, -1))
    found = 0
    for query in queries:
        expected = {int(id) for id in truth(vectors, query)}
        assert set(resident.search(query, 10, probes=50)[0]) == expected
        found += len(expected & set(resident.search(query, 10, probes=20)[0]))
    assert found > 0.9 * 10 * len(queries)


@pytest.mark.parametrize("share", [0.7, 0.9, 1.0])
def test_so_many_cells_hold_the_share_asked_for_and_one_fewer_does_not(share):
    vectors = clustered(_ROWS)
    resident = Resident.build(vectors, np.arange(_ROWS), train_centroids(vectors, 200), np.full(_ROWS, -1))
    best = np.stack([resident.search(query, 10)[0] for query in queries])
    probes = resident.probes_for(queries, best, share)

    def found(probes):
        each = [resident.search(query, 10, probes=probes)[0] for query in queries]
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(best, each, strict=True)])

    assert 1 < probes < 200
    assert found(probes) >= share > found(probes - 1)


def test_centroids_are_unit_and_own_their_cells():
    vectors = clustered(500)
    centroids = train_centroids(vectors, 12)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    assert set(nearest_cell(centroids, centroids)) == set(range(12))


def test_the_index_finds_nearly_all_on_disk_and_in_memory(table):
    assert retrieve.index_is_due(table)
    retrieve.build_index(table)
    assert not retrieve.index_is_due(table)
    facts = retrieve.measure_index(table, queries, "pictures")
    assert facts.recall_on_disk >= 0.97
    assert facts.recall_in_memory >= 0.97
    vectors = clustered(_ROWS)
    for load in (False, True):
        retriever = retrieve.Retriever(table)
        if load:
            retriever.load()
        found = [{hit.id for hit in retriever.search(query, 10, None, facts)} for query in queries[:4]]
        expected = [set(truth(vectors, query)) for query in queries[:4]]
        assert np.mean([len(a & b) / 10 for a, b in zip(found, expected, strict=True)]) >= 0.9


def test_rows_that_came_or_went_after_the_index_are_respected(table):
    retrieve.build_index(table)
    facts = retrieve.measure_index(table, queries, "pictures")
    query = queries[0]
    best = truth(clustered(_ROWS), query)
    table.append(rows_of(query[None].astype(np.float16), start=_ROWS))
    table.delete("id", best[:2])
    table.update(pa.table({"id": [best[2]], "caption": ["told"]}))
    table.compact()
    for load in (False, True):
        retriever = retrieve.Retriever(table)
        if load:
            retriever.load()
        hits = retriever.search(query, 10, None, facts)
        assert hits[0].id == f"{_ROWS:06d}"
        assert not {hit.id for hit in hits} & set(best[:2])
        assert next(hit.caption for hit in hits if hit.id == best[2]) == "told"


def test_many_new_rows_make_the_index_due_again(table):
    retrieve.build_index(table)
    table.append(rows_of(clustered(200, seed=3), start=_ROWS))
    assert not retrieve.index_is_due(table)
    table.append(rows_of(clustered(400, seed=4), start=_ROWS + 200))
    assert retrieve.index_is_due(table)


@pytest.mark.parametrize("where", ["id < '000100'", "id >= '000100'"])
@pytest.mark.parametrize("load", [False, True])
def test_a_condition_leaves_the_best_of_those_that_fulfil_it(table, where, load):
    retrieve.build_index(table)
    facts = retrieve.measure_index(table, queries, "pictures")
    vectors = clustered(_ROWS)
    retriever = retrieve.Retriever(table)
    if load:
        retriever.load()
    right = 0
    for query in queries[:4]:
        everything = truth(vectors, query, top=_ROWS)
        expected = [id for id in everything if (id < "000100") == (where[3] == "<")][:10]
        right += len(set(expected) & {hit.id for hit in retriever.search(query, 10, where, facts)})
    assert right >= 36 if where[3] == ">" and not load else right == 40


def test_several_searches_bring_the_vectors_into_memory(table):
    retrieve.build_index(table)
    facts = retrieve.measure_index(table, queries, "pictures")
    retriever = retrieve.Retriever(table)
    for query in queries[:6]:
        retriever.search(query, 10, None, facts)
    assert retriever._resident is not None


def test_a_large_collection_is_indexed_and_says_how_well(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieve, "INDEX_ABOVE", 250)
    rows = 300
    paint_some(tmp_path / "photos", rows)
    collection = Collection.create(tmp_path / "collection", CountingEmbedder())
    collection.sync(tmp_path / "photos")
    facts = collection.facts()
    assert facts["index"] == "approximate"
    assert facts["recall@10"] >= 0.0
    assert json.loads(json.dumps(facts))["recall"]["num_rows"] == rows
    hit = collection.search("blue", top=1)[0]
    assert hit.score == pytest.approx(1, abs=1e-2)
    paint(tmp_path / "photos" / "black.png", "black")
    collection.sync()
    assert collection.search("black", top=1)[0].path.endswith("black.png")
    assert collections.Collection.open(collection.path, CountingEmbedder()).facts()["num_pictures"] == rows + 1


class WordlessEmbedder(CountingEmbedder):
    reads_texts = False

    def embed_texts(self, texts):
        raise AssertionError("it reads no words")


def test_an_index_of_captioned_pictures_is_measured_with_words_only_where_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieve, "INDEX_ABOVE", 250)
    for path in paint_some(tmp_path / "photos", 300):
        path.with_suffix(".txt").write_text("red")
    told = {}
    for embedder in (CountingEmbedder(), WordlessEmbedder()):
        collection = Collection.create(tmp_path / type(embedder).__name__, embedder)
        collection.sync(tmp_path / "photos")
        told[type(embedder).__name__] = collection.facts()["recall"]["queries"]
    assert told == {"CountingEmbedder": "captions", "WordlessEmbedder": "pictures"}
