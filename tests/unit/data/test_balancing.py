from collections import Counter

import numpy as np
import pytest

from limner.data.balancing import BalanceConfig, BalancedBatches, DistinctBatches, joined_groups
from limner.errors import DataError

CONFIG = BalanceConfig(num_categories=2, num_labels=3, num_instances=4, seed=1)


def even_set() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and categories of 5 categories of 6 labels of 8 rows, in a mixed order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 8))
    return labels, labels // 6


def test_a_batch_holds_as_many_categories_labels_and_instances_as_asked_for() -> None:
    labels, categories = even_set()
    batches = BalancedBatches(labels, categories, CONFIG)
    for number in range(20):
        rows = batches.batch(number)
        assert len(set(rows.tolist())) == len(rows) == 24
        assert set(Counter(labels[rows].tolist()).values()) == {4}
        assert set(Counter(categories[rows].tolist()).values()) == {12}


def test_batch_n_is_a_function_of_the_seed_and_n() -> None:
    labels, categories = even_set()
    one, other = BalancedBatches(labels, categories, CONFIG), BalancedBatches(labels, categories, CONFIG)
    before = [one.batch(number) for number in range(9)]
    assert all((other.batch(number) == before[number]).all() for number in (8, 3, 0, 5))
    changed = BalancedBatches(labels, categories, BalanceConfig(num_categories=2, num_labels=3, seed=2))
    assert any((changed.batch(number) != before[number]).any() for number in range(9))


def test_every_row_takes_its_turn() -> None:
    labels, categories = even_set()
    config = BalanceConfig(num_categories=5, num_labels=3, num_instances=4)
    batches = BalancedBatches(labels, categories, config)
    assert len(batches) == 1
    # Two batches show every label, so four show every row.
    seen = Counter(np.concatenate([batches.batch(number) for number in range(4)]).tolist())
    assert seen == Counter(range(len(labels)))


def test_what_has_less_than_asked_for_gives_what_it_has() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 3])
    categories = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    batch = BalancedBatches(labels, categories, CONFIG).batch(0)
    assert Counter(labels[batch].tolist()) == {0: 4, 1: 2, 3: 3}


def test_two_rows_that_look_alike_are_never_negatives_of_each_other() -> None:
    labels, categories = even_set()
    duplicates = np.random.default_rng(1).integers(0, 60, len(labels))
    batches = BalancedBatches(labels, categories, CONFIG, duplicates=duplicates)
    sizes = []
    for number in range(20):
        rows = batches.batch(number)
        owners = {(duplicates[row], labels[row]) for row in rows}
        assert len(owners) == len({duplicate for duplicate, _ in owners})
        sizes.append(len(rows))
    assert min(sizes) < 24


@pytest.mark.parametrize(
    ("labels", "categories", "config", "message"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 0], CONFIG, "label 0 stands in several categories"),
        ([0, 0, 1, 1, 2], [0, 0, 0, 0, 1], CONFIG, "1 categories have a label with two or more rows"),
        ([0, 0], [0, 0], BalanceConfig(num_labels=0), "at least one category"),
    ],
)
def test_a_set_that_makes_no_batch_is_refused(
    labels: list[int], categories: list[int], config: BalanceConfig, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        BalancedBatches(np.array(labels), np.array(categories), config)


@pytest.mark.parametrize("seed", range(5))
def test_a_distinct_batch_has_one_row_of_a_group(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = np.where(generator.random(500) < 0.2, 0, generator.integers(0, 150, 500))
    batches = DistinctBatches(groups, 16, seed=seed)
    assert len(batches) > 20
    for epoch in range(2):
        shown = []
        for place in range(len(batches)):
            rows = batches.batch(epoch * len(batches) + place)
            assert len(rows) == len(set(groups[rows].tolist())) == 16
            shown += rows.tolist()
        assert len(set(shown)) == len(shown)


def test_rows_without_company_are_shown_once_an_epoch_in_another_order() -> None:
    batches = DistinctBatches(np.arange(40), 8, seed=3)
    epochs = [np.concatenate([batches.batch(5 * epoch + place) for place in range(5)]) for epoch in range(2)]
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == list(range(40))
    assert (epochs[0] != epochs[1]).any()
    assert (DistinctBatches(np.arange(40), 8, seed=3).batch(7) == batches.batch(7)).all()


def test_the_surplus_of_a_large_group_waits() -> None:
    groups = np.array([0] * 50 + [1, 2, 3, 4])
    batches = DistinctBatches(groups, 2)
    assert len(batches) == 4
    counts = Counter(groups[np.concatenate([batches.batch(place) for place in range(4)])].tolist())
    assert counts[0] <= 4 and sum(counts.values()) == 8


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="3 rows of different groups cannot be made of 2 groups"):
        DistinctBatches(np.array([0, 0, 0, 1]), 3)


def test_rows_that_share_any_key_form_a_group() -> None:
    concepts = np.array([7, 7, 1, 2, 3, 3])
    texts = np.array([0, 1, 1, 5, 6, 9])
    groups = joined_groups(concepts, texts)
    assert groups[0] == groups[1] == groups[2]
    assert groups[4] == groups[5]
    assert len(set(groups.tolist())) == 3
