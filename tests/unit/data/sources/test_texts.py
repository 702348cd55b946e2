import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from limner.data.sources.metadata import Metadata
from limner.data.sources.opening import open_source
from limner.data.sources.texts import (
    captions_in,
    clean,
    decode_text,
    encoding_of,
    is_language,
    read_text,
    split_named,
    tags_in,
)
from limner.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["caption", "text", "language", "en", "ru", "tags", "split", "concept"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.text(st.characters(), max_size=60))
def test_clean_text_is_one_normal_line(text: str) -> None:
    found = clean(text)
    assert found == clean(found)
    assert unicodedata.is_normalized("NFC", found)
    assert found == found.strip() and "\n" not in found and "\0" not in found
    found.encode()


@pytest.mark.parametrize("text", ["\ud83d", "a\ud83d\ude00b", "\udc00x"])
def test_lone_surrogates_are_replaced(text: str) -> None:
    clean(text).encode()
    assert clean("a\ud83d\ude00b") == "a😀b"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=60))
def test_unicode_is_read_as_it_is(text: str) -> None:
    assert decode_text(text.encode()) == (text.removeprefix("\ufeff"), "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["a red fox\n", "Съешь же ещё этих мягких булок", "path,caption\na.png,красный 🦊\n"])
def test_wide_unicode_is_read_with_and_without_a_mark(text: str, encoding: str, tmp_path: Path) -> None:
    assert decode_text(text.encode(encoding)) == (text, "")
    assert encoding_of(text.encode(encoding)[:-1]).startswith(encoding)
    if "," not in text:
        return
    for name, content in {
        "t.csv": text,
        "t.jsonl": json.dumps({"path": "a.png", "caption": "красный 🦊"}, ensure_ascii=False) + "\n",
        "t.json": json.dumps([{"path": "a.png", "caption": "красный 🦊"}], ensure_ascii=False),
    }.items():
        (tmp_path / name).write_bytes(content.encode(encoding))
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
        records = list(open_source(tmp_path / name))
        assert [caption.text for record in records for caption in record.captions] == ["красный 🦊"], name


def test_a_stray_zero_is_no_other_encoding() -> None:
    assert decode_text("a red fox\0 and a дом".encode()) == ("a red fox\0 and a дом", "")


@given(st.binary(max_size=200))
def test_any_bytes_are_some_text(data: bytes) -> None:
    text, _ = decode_text(data)
    clean(text).encode()


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("Съешь же ещё этих мягких французских булок", "cp1251", "Windows-1251"),
        ("я и ты", "cp1251", "Windows-1252"),
        ("déjà vu à la fenêtre", "latin-1", "Windows-1252"),
        ("Übergrößenträger", "latin-1", "Windows-1252"),
        ("“quoted” – text", "cp1252", "Windows-1252"),
    ],
)
def test_encodings_are_told_apart(text: str, encoding: str, name: str) -> None:
    found, assumed = decode_text(text.encode(encoding))
    assert assumed == name
    if encoding != "cp1251" or name == "Windows-1251":
        assert found == text


@settings(max_examples=60)
@given(JSON)
def test_any_json_gives_clean_captions(value: object) -> None:
    for caption in [*captions_in(value, "en"), *tags_in(value, "en")]:
        assert caption.text == clean(caption.text) != ""
        assert is_language(caption.language)
    metadata = Metadata()
    metadata.add(value if isinstance(value, dict) else {"captions": value}, "")
    assert metadata.split in ("", "train", "validation", "test")
    assert all(isinstance(field, str | tuple) for field in metadata.for_record().values())


def test_splits_have_one_name() -> None:
    assert [split_named(name) for name in ("VAL", "dev ", "training", "restval", "testing", "other", None, 3)] == [
        *("validation", "validation", "train", "train", "test", "", "", "")
    ]


def test_what_has_no_end_is_no_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "device.txt").symlink_to("/dev/zero")
    for name in ("pipe.txt", "device.txt", "none.txt"):
        with pytest.raises(DataError, match=f"its side file {name} is not a file"):
            read_text(tmp_path / name)
