import pyarrow as pa

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS, drawings


def table(*rows: tuple[str, str, str]) -> pa.Table:
    entries = [
        {"id": f"{source}/{concept}", "concept": concept, "source": source, "split": split, "_row": row}
        for row, (source, concept, split) in enumerate(rows)
    ]
    assert set(entries[0]) == {*COLUMNS, "_row"}
    return pa.Table.from_pylist(entries)


PICTOGRAMS = table(
    ("noto", "apple", "train"),
    ("twemoji", "apple", "train"),
    ("openmoji", "apple", "test"),
    ("noto", "bear", "test"),
    ("twemoji", "bear", "test"),
    ("openmoji", "bear", "test"),
    ("emojione-v1", "apple", "test"),
    ("noto", "cat", "test"),
    ("noto", "dog", "validation"),
    ("twemoji", "dog", "validation"),
)
CLIP_ART = table(
    ("openclipart", "apple", "train"), ("openclipart", "clip:saw", "test"), ("openclipart", "clip:pen", "validation")
)


def test_unseen_is_one_picture_a_concept_of_the_styles_trained_on() -> None:
    rows = PROTOCOLS["U"].rows(PICTOGRAMS)
    assert len(rows) == 2 and 7 in rows and (3 in rows) != (4 in rows)
    assert rows == PROTOCOLS["U"].rows(PICTOGRAMS)
    assert PROTOCOLS["V-U"].rows(PICTOGRAMS) in ([8], [9])


def test_unseen_style_is_of_concepts_that_training_saw() -> None:
    assert PROTOCOLS["S"].rows(PICTOGRAMS) == [2]
    assert PROTOCOLS["V-S"].rows(PICTOGRAMS) == [6]


def test_clip_art_is_of_the_split() -> None:
    assert PROTOCOLS["C"].rows(CLIP_ART) == [1]
    assert PROTOCOLS["V-C"].rows(CLIP_ART) == [2]


def test_drawings_ask_with_one_family_and_search_the_others() -> None:
    assert drawings(PICTOGRAMS) == {"noto": ([3], [4]), "twemoji": ([4], [3, 7])}
