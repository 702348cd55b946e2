from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from limner.data.builtin.splitting import Groups, split_of


def test_splits_have_their_shares_and_never_change() -> None:
    counts = Counter(split_of(f"group {number}") for number in range(20_000))
    assert abs(counts["test"] / 20_000 - 0.15) < 0.01
    assert abs(counts["validation"] / 20_000 - 0.10) < 0.01
    names = ("1F34E", "hearts", "clip:teapot", "1F431")
    assert [split_of(name) for name in names] == ["train", "train", "test", "validation"]


def test_country_flags_are_trained_on() -> None:
    assert split_of("country-flags", test_rate=1.0) == "train"


names = st.sampled_from(["country-flags", *(f"clip:{letter}" for letter in "abc"), *"ABCD"])


@given(st.lists(st.tuples(names, names)))
def test_joined_groups_have_one_name_whatever_the_order(pairs: list[tuple[str, str]]) -> None:
    groups, backwards = Groups(pairs), Groups([(other, one) for one, other in reversed(pairs)])
    for one, other in pairs:
        assert groups.find(one) == groups.find(other)
        assert groups.find(one) == backwards.find(other)


def test_a_pictogram_gives_the_name_and_a_group_of_train_goes_first() -> None:
    groups = Groups([("clip:apple", "1F34E"), ("clip:fruit", "clip:apple"), ("clip:map", "country-flags")])
    assert groups.find("clip:fruit") == "1F34E"
    assert groups.find("clip:map") == "country-flags"
    assert groups.find("alone") == "alone"
