import pytest

from limner.data.builtin.clip_art_names import ClipArt, Naming, name_key, name_of, tags_of


def clip_art(
    place: str = "food/pear_01", title: str = "Pear", creator: str = "", description: str = "", keywords: str = ""
) -> ClipArt:
    return ClipArt(
        place=place,
        svg=b"",
        title=title,
        creator=creator,
        description=description,
        keywords=tuple(keywords.split()),
        licence="",
    )


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Pear", "Pear"),
        ("Clipart by Somebody - piggy_bank2", "piggy bank"),
        ("aircraft3", "aircraft"),
        ("Crawfish (B and W)", "Crawfish black and white"),
        ("horse#2", "horse"),
        ("ChuteDenivellation", "Chute Denivellation"),
    ],
)
def test_titles_become_words(title: str, name: str) -> None:
    assert name_of(clip_art(title=title), is_shared=False) == name


def test_a_shared_title_gives_way_to_the_file_name() -> None:
    lemonade = clip_art("food/lemonade", "Clipart by Somebody - balloon1_04")
    assert name_of(lemonade, is_shared=True) == "lemonade"
    assert name_of(clip_art("a/pear_jane_doe_03", "Pear", "Jane Doe"), is_shared=True) == "Pear"


def test_authors_leave_file_names_even_when_cut_short() -> None:
    lotus = clip_art("plants/lotus_yogesh_kanit_01", "Flowers of the world", "Yogesh Kanitkar")
    assert name_of(lotus, is_shared=True) == "lotus"


def test_keywords_speak_when_nothing_else_does() -> None:
    assert name_of(clip_art("shapes/fc01", "fc1", keywords="HASH(0x8a) flowchart shape"), is_shared=True) == (
        "flowchart shape"
    )
    assert name_of(clip_art("shapes/01", ""), is_shared=True) == ""


def test_flags_say_that_they_are_flags() -> None:
    kuwait = clip_art("signs_and_symbols/flags/asia/kuwait", "Kuwait")
    assert kuwait.is_flag and name_of(kuwait, is_shared=False) == "flag: Kuwait"
    assert name_of(clip_art("signs_and_symbols/flags/city", "City flag of Gijon"), is_shared=False) == (
        "City flag of Gijon"
    )


def test_tags_are_words() -> None:
    assert tags_of(clip_art(keywords="Food HASH(0x85a0c44) 0x98554a4 food united_nations unsorted 11")) == [
        "food",
        "united nations",
    ]


def test_a_description_is_a_second_caption_when_it_says_more() -> None:
    bulb = clip_art(title="bulb", description="A glowing bulb of the old kind")
    link = clip_art(title="bulb", description="see http://example.com for more of these")
    same = clip_art(title="Cheese Pizza Slice", description="cheese pizza slice")
    naming = Naming([bulb, link, same])
    assert [caption.text for caption in naming.captions(bulb)] == ["bulb", "A glowing bulb of the old kind"]
    assert [caption.text for caption in naming.captions(link)] == ["bulb"]
    assert [caption.text for caption in naming.captions(same)] == ["Cheese Pizza Slice"]


def test_names_that_agree_show_the_same() -> None:
    assert name_key("Crawfish black and white") == name_key("crawfish") == name_key("Crawfish (large)") == "crawfish"
