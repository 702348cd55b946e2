import pytest
from tests.colours import ColourEmbedder
from tests.shapes import shape_records

from limner.data.picture_set import PictureSet
from limner.evaluation.classification import judge_zero_shot, name_classes
from limner.evaluation.examples import embed_pictures, gather_examples


def test_a_set_with_many_pictures_a_concept_has_classes(tmp_path):
    many = PictureSet.write(tmp_path / "many", shape_records(sizes=tuple(range(3, 23))))
    found, vectors = embed_pictures(ColourEmbedder(), many, gather_examples(many))
    names = name_classes(many, found)
    assert names is not None
    assert names["red circle"] == "a red circle"
    # Three shapes share a colour and tie; argmax takes the first of them.
    assert judge_zero_shot(ColourEmbedder(), found, vectors, names).mean == pytest.approx(1 / 3)


def test_a_set_with_few_pictures_a_concept_has_none(tmp_path):
    few = PictureSet.write(tmp_path / "few", shape_records(sizes=(9, 12)))
    assert name_classes(few, gather_examples(few)) is None
