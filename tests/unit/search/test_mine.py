from pathlib import Path

import numpy as np
import pytest

from limner.config import override
from limner.errors import TrainingError, UsageError
from limner.search.mine import MiningConfig, mine_negatives, read_negatives, write_negatives


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some_vectors(count: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 6)))


@pytest.mark.parametrize("margins", [(0.0, 0.0), (0.2, 0.0), (0.0, 0.3), (0.1, 0.1)])
def test_negatives_are_those_of_a_loop_over_all_pairs(margins: tuple[float, float]) -> None:
    queries, documents = some_vectors(700, 0), some_vectors(700, 1)
    documents = unit(documents + 2 * queries)
    generator = np.random.default_rng(2)
    keys = np.stack([generator.integers(0, 300, 700), generator.integers(0, 500, 700)], axis=1)
    config = MiningConfig(depth=5, absolute_margin=margins[0], relative_margin=margins[1])
    found = mine_negatives(queries, documents, keys, config)
    scores = queries @ documents.T
    for query in range(0, 700, 7):
        answers = [j for j in range(700) if (keys[query] == keys[j]).any()]
        best = max(scores[query, answers])
        limit = best - margins[0] - margins[1] * abs(best)
        allowed = [j for j in range(700) if j not in answers and scores[query, j] <= limit]
        expected = sorted(allowed, key=lambda j: -scores[query, j])[:5]
        assert found[query].tolist() == expected + [-1] * (5 - len(expected))


def test_an_item_of_the_same_concept_is_never_mined() -> None:
    vectors = unit(np.ones((6, 4)) + 0.01 * some_vectors(6, 0)[:, :4])
    keys = np.array([[0, 0], [0, 1], [1, 2], [1, 3], [2, 3], [2, 4]])
    found = mine_negatives(vectors, vectors, keys, MiningConfig(relative_margin=0.0))
    for item, row in enumerate(found):
        assert not any((keys[item] == keys[other]).any() for other in row[row >= 0])


def test_a_collection_smaller_than_the_depth_is_filled_up_with_nothing() -> None:
    vectors = np.eye(3, dtype=np.float32)
    found = mine_negatives(vectors, vectors, np.arange(3)[:, None], MiningConfig(depth=4))
    assert found.tolist() == [[1, 2, -1, -1], [0, 2, -1, -1], [0, 1, -1, -1]]


def test_what_is_written_is_read_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "negatives" / "step-00000000.safetensors"
    negatives = np.arange(6, dtype=np.int32).reshape(2, 3)
    write_negatives(path, negatives)
    assert np.array_equal(read_negatives(path), negatives)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    path.write_bytes(b"{}")
    with pytest.raises(TrainingError, match="remove it to have the negatives mined again"):
        read_negatives(path)


def test_margins_below_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="margins at least 0"):
        override(MiningConfig(), {"relative_margin": "-1"})


def test_where_labels_are_trusted_the_hardest_stand_above_the_positives() -> None:
    vectors = some_vectors(60, 3)
    keys = np.arange(60)[:, None] // 2
    found = mine_negatives(vectors, vectors, keys, MiningConfig(depth=4, trusts_labels=True))
    scores = vectors @ vectors.T
    for query in range(60):
        others = [j for j in range(60) if j // 2 != query // 2]
        assert found[query].tolist() == sorted(others, key=lambda j: -scores[query, j])[:4]
