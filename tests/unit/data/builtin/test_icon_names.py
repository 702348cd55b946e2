import pytest

from limner.data.builtin.icon_names import base_of, reason_to_drop, split_style, telling_category, words_of
from limner.data.builtin.icon_sources import ICON_SOURCES

FREE_LICENCES = {"Apache-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bottle-wine", "bottle wine"),
        ("pets-2", "pets"),
        ("setting-two", "setting"),
        ("letrina-alt", "letrina"),
        ("thermometer-24px", "thermometer"),
        ("t-shirt-3", "t-shirt"),
        ("person-simple-throw", "person throw"),
        ("3d-cube", "3d cube"),
        ("7", "7"),
    ],
)
def test_names_become_words(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words


def test_a_category_of_several_words_is_cut_off_the_name() -> None:
    assert words_of("food-drink-rice-ball", ["FoodDrink"]) == ("rice", "ball")
    assert words_of("food-drink", ["FoodDrink"]) == ()
    assert words_of("ecology-tree", ["Ecology"]) == ("ecology", "tree")


def test_the_longest_ending_is_the_style() -> None:
    styles = ("bold-duotone", "duotone", "")
    assert split_style("cat-bold-duotone", styles) == ("cat", "bold-duotone")
    assert split_style("cat-duotone", styles) == ("cat", "duotone")
    assert split_style("duotone", styles) == ("duotone", "")


def test_signs_are_taken_off_a_thing() -> None:
    assert base_of(("bell", "plus")) == base_of(("circled", "bell", "lock")) == ("bell",)
    assert base_of(("arrow", "up")) == ("arrow",)
    assert base_of(("key",)) == ("key",)
    assert base_of(("fishing", "rod")) == ("fishing", "rod")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("fishing rod", ""),
        ("key", ""),
        ("check square", ""),
        ("logo facebook", "a brand"),
        ("messenger", "a brand"),
        ("google logo", "a brand"),
        ("file csv", "a kind of file"),
        ("circle k", "named by letters or numbers"),
        ("h264", "named by letters or numbers"),
        ("", "named by letters or numbers"),
        ("3d cube", ""),
        ("align left", "a sign of interfaces"),
        ("add new", "a sign of interfaces"),
        ("bell off", "crossed out"),
        ("kick off", ""),
    ],
)
def test_what_shows_nothing_is_dropped(words: str, reason: str) -> None:
    assert reason_to_drop(tuple(words.split()), (), frozenset({("bell",)})) == reason


def test_what_is_filed_as_a_brand_is_dropped() -> None:
    assert reason_to_drop(("anvil",), ("Brand / Logo",), frozenset()) == "a brand"
    assert reason_to_drop(("anvil",), ("Tools",), frozenset()) == ""


def test_categories_are_words_that_tell_something() -> None:
    assert telling_category("FoodDrink") == "food drink"
    assert telling_category("Health / Beauty") == "health beauty"
    assert telling_category("InterfaceEssential") == ""


def test_every_family_may_be_trained_on() -> None:
    assert {source.family.licence for source in ICON_SOURCES.values()} == FREE_LICENCES
    assert not any(source.family.style_test for source in ICON_SOURCES.values())
