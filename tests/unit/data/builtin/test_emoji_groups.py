import pytest

from limner.data.builtin.emoji_groups import group_of
from limner.data.builtin.emoji_names import Emoji, concept_of, has_skin_tone, name_key, unambiguous


def group(concept: str, subgroup: str = "") -> str:
    return group_of(Emoji(concept=concept, subgroup=subgroup, labels={}, tags={}))


def test_concepts_know_no_variation_selector_and_no_skin_tone() -> None:
    assert concept_of("2764-fe0f") == "2764"
    assert concept_of("1F926-1F3FD-200D-2642-FE0F") == "1F926-200D-2642"
    assert has_skin_tone("1F926-1F3FD-200D-2642-FE0F") and not has_skin_tone("1F926") and not has_skin_tone("")


@pytest.mark.parametrize(
    "forms",
    [
        ["1F926", "1F926-200D-2642", "1F926-200D-2640"],  # facepalming
        ["1F9D1-200D-1F680", "1F468-200D-1F680", "1F469-200D-1F680"],  # astronaut
        ["1F6B6", "1F6B6-200D-27A1", "1F6B6-200D-2640-200D-27A1"],  # walking, facing right
        ["1F478", "1F934", "1FAC5"],  # crown
        ["1F385", "1F936", "1F9D1-200D-1F384"],  # Christmas
        ["2640", "2642"],  # the signs themselves
        ["1F550", "1F55B", "1F567"],  # clocks
        ["1F311", "1F315", "1F31D"],  # moons
        ["1F7E5", "2B1B", "25FD"],  # squares
    ],
)
def test_forms_and_series_are_one_group(forms: list[str]) -> None:
    assert len({group(form) for form in forms}) == 1


@pytest.mark.parametrize(
    ("subgroup", "concepts"),
    [
        ("heart", ["2764", "1F49B", "2764-200D-1F525"]),
        ("keycap", ["0031-20E3", "1F51F"]),
        ("country-flag", ["1F1EB-1F1F7", "1F1EF-1F1F5"]),
        ("family", ["1F46A", "1F468-200D-1F469-200D-1F467"]),
    ],
)
def test_subgroups_are_one_group(subgroup: str, concepts: list[str]) -> None:
    assert len({group(concept, subgroup) for concept in concepts}) == 1


def test_different_things_are_different_groups() -> None:
    things = [
        "1F34E",
        "1F34F",
        "1F9D1",
        "1F9D1-200D-1F680",
        "1F9D1-200D-1F3A8",
        "1F550",
        "1F311",
        "1F319",
        "1F9D2",
        "2640",
        "27A1",
    ]
    assert len({group(thing) for thing in things} - {""}) == len(things)
    assert group("1F48C", "heart") != group("2764", "heart")


def test_spellings_of_two_concepts_are_left_out() -> None:
    assert name_key("Flag-for-Côte d’Ivoire!") == "flagctedivoire"
    assert unambiguous([("red apple", "A"), ("Red-Apple", "A"), ("ball", "B"), ("ball", "C")]) == {"redapple": "A"}
