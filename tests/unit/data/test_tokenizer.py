from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.errors import ModelError

TEXTS = ["red apple", "a picture of a red apple", "красное яблоко", "赤いリンゴ", "green apple", "зелёное яблоко"] * 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=400))


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=12))
def test_any_language_comes_back_lower_cased(tokenizer: Tokenizer, text: str) -> None:
    ids, _ = tokenizer.encode([text], 128)
    again, _ = tokenizer.encode([tokenizer.decode(ids[0].tolist())], 128)
    assert torch.equal(ids, again)


def test_case_and_compatibility_forms_do_not_matter(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode(["Red APPLE", "red apple", "ｒｅｄ apple", "  red apple "], 16)
    assert all(torch.equal(ids[0], row) for row in ids)


def test_long_texts_are_cut_and_counted(tokenizer: Tokenizer) -> None:
    ids, num_truncated = tokenizer.encode(["red apple " * 50, "red"], 8)
    assert num_truncated == 1
    assert ids.shape == (2, 8) and ids[0, 0] == 1 and ids[0, -1] == 2 and (ids[0] != 0).all()
    assert ids[1, -1] == 0


def test_an_empty_text_is_start_and_end(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode([""], 4)[0].tolist() == [[1, 2, 0, 0]]


def test_saved_and_loaded_encodes_alike(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    assert torch.equal(Tokenizer.load(tmp_path).encode(TEXTS, 16)[0], tokenizer.encode(TEXTS, 16)[0])


def test_dropout_splits_words_further_and_keeps_the_text(tokenizer: Tokenizer) -> None:
    text = "a picture of a red apple"
    dropping = tokenizer.with_dropout(0.5)
    rows = dropping.encode([text] * 20, 64, seeds=[(0, k) for k in range(20)])[0]
    lengths = (rows != 0).sum(dim=1)
    whole = int((tokenizer.encode([text], 64)[0] != 0).sum())
    assert lengths.min() >= whole and lengths.max() > whole
    assert all(tokenizer.decode(row.tolist()) == text for row in rows)
    assert torch.equal(rows, dropping.encode([text] * 20, 64, seeds=[(0, k) for k in range(20)])[0])


def test_without_dropped_merges_the_pieces_are_the_librarys(tokenizer: Tokenizer) -> None:
    rare = tokenizer.with_dropout(1e-12)
    texts = [*TEXTS, "Something ELSE, entirely: 3 ½ яблока", ""]
    dropped = rare.encode(texts, 64, seeds=[(k,) for k in range(len(texts))])[0]
    assert torch.equal(dropped, tokenizer.encode(texts, 64)[0])


def test_without_seeds_nothing_is_dropped(tokenizer: Tokenizer) -> None:
    assert torch.equal(tokenizer.with_dropout(0.9).encode(TEXTS, 16)[0], tokenizer.encode(TEXTS, 16)[0])


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"version": "1.0", "model": {"type": "BPE"}}'])
def test_a_damaged_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="tokenizer.json"):
        Tokenizer.load(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tokenizer.json"):
        Tokenizer.load(tmp_path)
