import numpy as np
import pytest
import torch
from tests.colours import ColourEmbedder
from tests.shapes import shape_records

from limner.data.picture_set import PictureSet
from limner.evaluation.drawings import (
    DRAWING_MEASURES,
    DrawingTest,
    drawing_values,
    estimate_gains,
    first_scores,
    judge_drawings,
    rerank_drawings,
)
from limner.evaluation.examples import embed_pictures, gather_pictures
from limner.nn.parts import whole
from limner.search.reranker import Reranker


def test_drawings_find_drawings_by_hand(tmp_path):
    """Rows 0-3 are cat, dog, cat, fish; the first two ask, the others are searched; nothing answers the dog."""
    pictures = PictureSet.write(tmp_path / "set", list(shape_records(sizes=(9,)))[:4])
    examples = gather_pictures(pictures, [0, 1, 2, 3])
    object.__setattr__(examples, "concepts", ("cat", "dog", "cat", "fish"))
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
    found = judge_drawings(examples, vectors, {"noto": ([0, 1], [2, 3])})
    assert found.together["R@1"].mean == 0
    assert found.together["MRR"].mean == 0.5
    assert set(found.families["noto"]) == set(DRAWING_MEASURES)


def test_pictures_without_captions_can_ask(tmp_path):
    pictures = PictureSet.write(tmp_path / "set", shape_records(sizes=(9, 12)))
    rows = pictures.rows(["id", "concept"]).to_pylist()
    small = [row["_row"] for row in rows if row["id"].endswith("-9")]
    large = [row["_row"] for row in rows if row["id"].endswith("-12")]
    examples, vectors = embed_pictures(ColourEmbedder(), pictures, gather_pictures(pictures, small + large))
    found = judge_drawings(examples, vectors, {"small": (small, large), "large": (large, small)})
    assert found.together["R@1"].mean == pytest.approx(1 / 3)
    assert found.together["R@5"].mean == 1


class Knowing(Reranker):
    """A re-ranker that is told the concept of every picture as its only part."""

    def __init__(self) -> None:
        self.name = "knowing"

    def scores(self, queries, documents):
        return (queries.vectors[:, None, 0, 0] == documents.vectors[None, :, 0, 0]).float().numpy()


@pytest.mark.parametrize("depth", [1, 5, 10, 1000])
def test_a_re_ranker_that_knows_the_answers_finds_what_the_first_stage_has_within_its_depth(depth):
    random = np.random.default_rng(0)
    concepts = np.repeat(np.arange(20), 3)
    vectors = random.standard_normal((60, 2)).astype(np.float32)
    test = DrawingTest(
        family="noto",
        asking=np.arange(0, 60, 3),
        gallery=np.flatnonzero(np.arange(60) % 3),
        relevant=tuple(np.arange(2 * number, 2 * number + 2) for number in range(20)),
        concepts=np.arange(20),
        gallery_ids=tuple(f"{place:02d}" for place in range(40)),
    )
    scores = first_scores(test, vectors)
    parts = whole(torch.from_numpy(concepts).float()[:, None, None])
    before = drawing_values(test, scores)
    after = drawing_values(test, rerank_drawings(test, scores, parts, Knowing(), depth))
    within = np.array(
        [(-np.sort(-row)[min(depth, 40) - 1] <= row[[2 * q, 2 * q + 1]]).any() for q, row in enumerate(scores)]
    )
    np.testing.assert_array_equal(after["R@1"], within.astype(float))
    gains = estimate_gains([test], [before], [after])
    missed = before["R@1"] == 0
    assert gains.together.errors_removed.mean == pytest.approx(within[missed].mean())
    assert gains.families["noto"].figures["R@1"].mean == pytest.approx(after["R@1"].mean() - before["R@1"].mean())
    if depth == 1000:
        assert gains.together.errors_removed.mean == 1 and after["mAP@R"].min() == 1
