import numpy as np

from limner.data.builtin.near_duplicates import find_pairs, leaking_pictures, recorded_pairs
from limner.data.builtin.splitting import Groups, split_of


def test_pairs_are_those_of_a_plain_double_loop() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.random((40, 768), dtype=np.float32)
    pictures = np.concatenate([pictures, pictures + rng.normal(0, 0.028, pictures.shape).astype(np.float32)])
    pictures = np.concatenate([pictures, pictures[:40] + rng.normal(0, 0.033, (40, 768)).astype(np.float32)])
    expected = [
        (one, other)
        for one in range(len(pictures))
        for other in range(one + 1, len(pictures))
        if np.sqrt(np.mean((pictures[one] - pictures[other]) ** 2)) <= 0.03
    ]
    assert len(expected) >= 40
    assert find_pairs(pictures) == expected


def test_pairs_are_found_across_blocks() -> None:
    pictures = np.random.default_rng(0).random((1300, 12), dtype=np.float32)
    pictures[1299] = pictures[3]
    pictures[700] = pictures[600]
    assert {(3, 1299), (600, 700)} <= set(find_pairs(pictures, rms=0.001))


def test_the_picture_of_the_larger_split_goes() -> None:
    splits = ["train", "test", "validation", "train", "test", "train"]
    plain = [False] * 6
    assert leaking_pictures(splits, plain, [(0, 1)]) == {0: "near-duplicate of a test picture"}
    assert leaking_pictures(splits, plain, [(1, 2)]) == {2: "near-duplicate of a test picture"}
    assert leaking_pictures(splits, plain, [(0, 3), (1, 4)]) == {}
    assert leaking_pictures(splits, plain, [(0, 1), (0, 2)]) == {0: "near-duplicate of a test picture"}


def test_a_style_test_picture_goes_when_training_holds_its_like() -> None:
    found = leaking_pictures(["train", "test"], [False, True], [(0, 1)])
    assert found == {1: "near-duplicate of a train picture"}


def test_recorded_pairs_never_join_pictograms_of_two_splits_through_clip_art() -> None:
    pairs = recorded_pairs()
    pictograms = Groups(pair for pair in pairs if not any(name.startswith("clip:") for name in pair))
    every = Groups(pairs)
    named = {name for pair in pairs for name in pair if not name.startswith("clip:")}
    assert named
    assert [name for name in sorted(named) if split_of(every.find(name)) != split_of(pictograms.find(name))] == []
