import numpy as np
import pytest
from tests.colours import ColourEmbedder
from tests.shapes import shape_records

from limner.data.picture_set import PictureSet
from limner.evaluation.drawings import judge_drawings
from limner.evaluation.examples import embed_pictures, gather_pictures
from limner.evaluation.ranking import MEASURES


def test_drawings_find_drawings_by_hand(tmp_path):
    """Rows 0-3 are cat, dog, cat, fish; the first two ask, the others are searched; nothing answers the dog."""
    pictures = PictureSet.write(tmp_path / "set", list(shape_records(sizes=(9,)))[:4])
    examples = gather_pictures(pictures, [0, 1, 2, 3])
    object.__setattr__(examples, "concepts", ("cat", "dog", "cat", "fish"))
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
    found = judge_drawings(examples, vectors, {"noto": ([0, 1], [2, 3])})
    assert found.together["R@1"].mean == 0
    assert found.together["MRR"].mean == 0.5
    assert set(found.families["noto"]) == set(MEASURES)


def test_pictures_without_captions_can_ask(tmp_path):
    pictures = PictureSet.write(tmp_path / "set", shape_records(sizes=(9, 12)))
    rows = pictures.rows(["id", "concept"]).to_pylist()
    small = [row["_row"] for row in rows if row["id"].endswith("-9")]
    large = [row["_row"] for row in rows if row["id"].endswith("-12")]
    examples, vectors = embed_pictures(ColourEmbedder(), pictures, gather_pictures(pictures, small + large))
    found = judge_drawings(examples, vectors, {"small": (small, large), "large": (large, small)})
    assert found.together["R@1"].mean == pytest.approx(1 / 3)
    assert found.together["R@5"].mean == 1
