from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import UsageError
from limner.search.query import Query, Term, mix, parse_query, parse_term


@pytest.mark.parametrize(
    ("text", "words", "picture", "weight"),
    [
        ("red fox", "red fox", None, 1),
        ("2:red fox", "red fox", None, 2),
        (".5: red fox ", "red fox", None, 0.5),
        ("16:9 screen", "16:9 screen", None, 1),
        ("note: red", "note: red", None, 1),
        ("@a b.png", "", "a b.png", 1),
        ("0.5:@a.png", "", "a.png", 0.5),
        ("@@home", "@home", None, 1),
        ("2:@@home", "@home", None, 2),
        ("10:30 o'clock", "10:30 o'clock", None, 1),
        ("3: 7 dwarfs", "7 dwarfs", None, 3),
    ],
)
def test_terms_are_read(text, words, picture, weight):
    term = parse_term(text)
    assert (term.words, term.picture, term.weight) == (words, picture and Path(picture), weight)


@pytest.mark.parametrize("words", [None, "", "  ", "2:", "2: "])
def test_a_query_without_words_is_refused(words):
    with pytest.raises(UsageError):
        parse_query(words)


def test_a_query_needs_something_that_counts_for_it():
    with pytest.raises(UsageError, match="count for it"):
        parse_query(minus=["snow"])


def test_a_weight_of_zero_is_refused():
    with pytest.raises(UsageError, match="zero"):
        parse_query("0:fox")


@pytest.mark.parametrize("weight", [float("inf"), float("nan"), float("-inf")])
def test_a_weight_that_is_no_number_is_refused(weight):
    with pytest.raises(UsageError, match="weight of 'fox' is no finite number"):
        Query(terms=(Term(words="red"), Term(words="fox", weight=weight)))
    with pytest.raises(UsageError, match="no finite number"):
        parse_query("9" * 400 + ":fox")


def test_a_query_reads_like_what_was_asked():
    query = parse_query("2:red fox", pictures=["a.png"], plus=["snow"], minus=["0.5:@b.png"])
    assert str(query) == "2:red fox + @a.png + snow - 0.5:@b.png"


@given(st.text())
def test_any_words_are_words_or_a_usage_error(text):
    try:
        query = parse_query(text)
    except UsageError:
        return
    assert len(query.terms) == 1


def test_a_mixture_ranks_by_the_sum_of_standard_scores():
    random = np.random.default_rng(0)
    sample = random.standard_normal((500, 8)).astype(np.float32) * np.array([9, 9, 9, 9, 1, 1, 1, 1], np.float32)
    terms = np.eye(8, dtype=np.float32)[[0, 7]]
    mixed = mix(terms, [1.0, -2.0], sample)
    scores = sample @ terms.T
    standard = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    expected = standard[:, 0] - 2 * standard[:, 1]
    assert np.linalg.norm(mixed) == pytest.approx(1, abs=1e-5)
    assert np.corrcoef(sample @ mixed, expected)[0, 1] == pytest.approx(1, abs=1e-4)


def test_one_term_is_itself():
    vector = np.array([[0.6, 0.8]], dtype=np.float32)
    assert np.array_equal(mix(vector, [3.0], vector), vector[0])


def test_one_weight_may_dwarf_the_other():
    vectors = np.eye(2, dtype=np.float32)
    assert np.allclose(mix(vectors, [1.0, 1e300], vectors), vectors[1])
    assert np.allclose(mix(vectors, [1e-300, 1e300], vectors), vectors[1])
