import math

import numpy as np
import pytest
from tests.colours import ColourEmbedder

from limner.errors import UsageError
from limner.search.calibrate import Calibration, LabelScale, write_calibration
from limner.search.zero_shot import TEMPLATES, check_labels, label_probabilities, label_scale, label_vectors


class Prompts(ColourEmbedder):
    """Remembers what it read; odd prompts point along the first axis, even ones along the second."""

    def __init__(self):
        super().__init__()
        self.read = []

    def embed_texts(self, texts):
        self.read += texts
        return np.eye(5, dtype=np.float32)[[place % 2 for place in range(len(texts))]]


def test_prompts_of_a_label_are_averaged_and_made_unit_length():
    embedder = Prompts()
    vectors = label_vectors(embedder, ["cat", "dog"], ["a {}", "the {}", "one {} and a {}"])
    assert embedder.read == ["a cat", "the cat", "one cat and a cat", "a dog", "the dog", "one dog and a dog"]
    long, short = 2 / math.sqrt(5), 1 / math.sqrt(5)
    np.testing.assert_allclose(vectors[:, :2], [[long, short], [short, long]], rtol=1e-6)


def test_labels_in_other_letters_stand_alone():
    embedder = Prompts()
    label_vectors(embedder, ["cat", "кошка"])
    assert embedder.read == [template.replace("{}", "cat") for template in TEMPLATES] + ["кошка"]


def test_probabilities_are_a_softmax_of_scaled_cosines():
    pictures = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    labels = np.eye(2, dtype=np.float32)
    found = label_probabilities(pictures, labels, 5.0)
    wanted = [
        [math.exp(5) / (math.exp(5) + 1), 1 / (math.exp(5) + 1)],
        [math.exp(3) / (math.exp(3) + math.exp(4)), math.exp(4) / (math.exp(3) + math.exp(4))],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_model_is_as_sure_of_labels_as_its_calibration_says(tmp_path):
    embedder = ColourEmbedder()
    embedder.name, embedder.fingerprint = str(tmp_path), "abc"
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    assert label_scale(embedder) == embedder.scale
    write_calibration(tmp_path, Calibration(fingerprint="abc", labels=LabelScale(scale=7.0)))
    assert label_scale(embedder) == 7.0
    embedder.fingerprint = "of other weights"
    assert label_scale(embedder) == embedder.scale
    (tmp_path / "calibration.json").write_text("{")
    assert label_scale(embedder) == embedder.scale


def test_a_huge_scale_stays_finite():
    found = label_probabilities(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1e5)
    np.testing.assert_array_equal(found, np.eye(2))


@pytest.mark.parametrize("labels", [[], ["cat", ""], ["cat", " "], ["cat", "Cat"]])
def test_labels_that_cannot_be_used_are_refused(labels):
    with pytest.raises(UsageError, match="label"):
        check_labels(labels)


@pytest.mark.parametrize("templates", [[], ["a drawing"]])
def test_templates_that_cannot_be_used_are_refused(templates):
    with pytest.raises(UsageError, match="prompt"):
        label_vectors(ColourEmbedder(), ["cat"], templates)
