import pytest

from limner.data.builtin.held_out import HeldOutNames, recorded_titles, singular
from limner.data.builtin.near_duplicates import recorded_pairs
from limner.data.builtin.splitting import CLIP_ART, Groups, split_of


def group(split: str, nth: int = 0) -> str:
    return [name for name in map(str, range(1000)) if split_of(name) == split][nth]


TRAIN, VALIDATION, TEST = group("train"), group("validation"), group("test")
NAMES = HeldOutNames(
    [("cat face", TEST), ("hot dog", VALIDATION), ("ladder", TRAIN), ("A button (blood type)", group("test", 1))],
    {"kitty": TEST, "steps": TRAIN},
    {"blue boots": VALIDATION, "rope": TRAIN},
)


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("cats", "cat"),
        ("cherries", "cherry"),
        ("boxes", "box"),
        ("knives", "knife"),
        ("shoes", "shoe"),
        ("minibuses", "minibus"),
        ("houses", "house"),
        ("fuses", "fuse"),
        ("axes", "axe"),
        ("cookies", "cookie"),
        ("potatoes", "potato"),
        ("glasses", "glasses"),
        ("compass", "compass"),
        ("cactus", "cactus"),
        ("tennis", "tennis"),
        ("bus", "bus"),
    ],
)
def test_one_and_many_meet(many: str, one: str) -> None:
    assert singular(many) == singular(one) == one


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat face", TEST),
        ("cat", TEST),
        ("two cats playing", TEST),
        ("kitty litter", TEST),
        ("hotdog", VALIDATION),
        ("hot-dog stand", VALIDATION),
        ("hot dogs", VALIDATION),
        ("hot dog for a cat", TEST),
        ("a button", group("test", 1)),
        ("cattle", ""),
        ("scat", ""),
        ("hot big dog", ""),
        ("face", ""),
        ("ladder steps", ""),
        ("blue boot", VALIDATION),
        ("big blue boots", ""),
        ("rope", ""),
    ],
)
def test_held_out_names_are_found_as_whole_words(name: str, expected: str) -> None:
    assert NAMES.find(name.split()) == expected


def test_every_name_of_a_picture_counts() -> None:
    assert NAMES.find(["ladder"], ["pet", "cat"]) == TEST
    assert NAMES.find(["hotdog"], ["cat"]) == TEST
    assert NAMES.find() == ""


def test_of_two_groups_of_one_name_that_of_test_counts() -> None:
    for labels in ([("bat", TEST), ("bat", VALIDATION)], [("bat", VALIDATION), ("bat", TEST)]):
        assert HeldOutNames(labels, {}, {}).find(["bat"]) == TEST
    assert HeldOutNames([("bat", TRAIN)], {"bat": TEST}, {}).find(["bat"]) == TEST


def test_the_recorded_titles_are_held_out() -> None:
    groups = Groups(recorded_pairs())
    titles = recorded_titles()
    assert len(titles) > 400
    assert [title for title in titles if split_of(groups.find(CLIP_ART + title)) == "train"] == []
