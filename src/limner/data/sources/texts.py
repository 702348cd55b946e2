"""Text as people store it, made clean: encodings, normal forms, captions in several shapes, languages, splits."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from limner.data.picture_set import Caption
from limner.errors import DataError

__all__ = [
    "LARGEST_TEXT",
    "LEGACY_ENCODINGS",
    "TEXT_KEYS",
    "caption_lines",
    "captions_in",
    "clean",
    "decode_text",
    "encoding_of",
    "is_language",
    "language_in",
    "read_text",
    "split_named",
    "tags_in",
    "unicode_in",
    "unicode_of",
]

_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_SPLITS = {
    **dict.fromkeys(("train", "training", "restval", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
LARGEST_TEXT = 4 << 20
_SAMPLE_BYTES = 1 << 16
LEGACY_ENCODINGS = {"cp1251": "Windows-1251", "cp1252": "Windows-1252"}
# UTF-32's mark begins as UTF-16's does, so it comes first.
_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# The high bytes of most alphabets in UTF-16; hardly ever found in UTF-8.
_LOW = bytes(range(9))
_WIDE = {"utf-32-le": 4, "utf-32-be": 4, "utf-16-le": 2, "utf-16-be": 2}
TEXT_KEYS = ("caption", "captions", "text", "texts", "raw", "sentence", "title", "description")


def clean(text: str) -> str:
    """Return text in NFC on one line, without control characters, lone surrogates or outer space."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    return " ".join(unicodedata.normalize("NFC", text).replace("\ufeff", "").split())


def encoding_of(data: bytes) -> str:
    """Return the encoding that bytes are most likely in: UTF-8, -16 or -32, Windows-1251 or Windows-1252."""
    encoding = unicode_of(data)
    if encoding != "utf-8-sig":
        return encoding
    try:
        data.decode("utf-8-sig")
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end >= len(data):
            return "utf-8-sig"
    return _single_byte(data)


def unicode_of(data: bytes) -> str:
    """Return UTF-16 or -32 for bytes with its mark, or that hold zeros and are as full of the like, else UTF-8."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    sample = data[:_SAMPLE_BYTES]
    num_low = len(sample) - len(sample.translate(None, _LOW))
    is_wide = b"\0" in sample and num_low > len(sample) / 4
    return (_without_mark(sample) if is_wide else "") or "utf-8-sig"


def unicode_in(path: Path) -> str:
    """Return the encoding of a file that must be in Unicode, as JSON must, by how it begins."""
    with path.open("rb") as file:
        return unicode_of(file.read(_SAMPLE_BYTES))


def _without_mark(data: bytes) -> str:
    """Return the encoding of UTF-16 or -32 without a mark, "" if bytes are neither.

    Spaces and signs give the order of the bytes away: the wrong one makes rare letters of them.
    """
    found: dict[str, int] = {}
    for encoding, width in _WIDE.items():
        whole = data[: len(data) // width * width]
        try:
            text = whole.decode(encoding)
        except UnicodeDecodeError as error:
            if error.end < len(whole):  # a sample may end within a letter
                continue
            text = whole[: error.start].decode(encoding)
        if "\0" not in text:
            found[encoding] = sum(letter < "\x80" for letter in text)
    return max(found, key=lambda encoding: found[encoding], default="")


def _single_byte(data: bytes) -> str:
    # Cyrillic words are runs of high bytes; accented letters of Latin words stand alone between low ones.
    high = sum(map(len, re.findall(rb"[\xc0-\xff\xa8\xb8]+", data)))
    in_runs = sum(map(len, re.findall(rb"[\xc0-\xff\xa8\xb8]{3,}", data)))
    return "cp1251" if in_runs * 2 > high else "cp1252"


def decode_text(data: bytes) -> tuple[str, str]:
    """Return the text of bytes and "" or the name of an encoding other than Unicode that was assumed."""
    encoding = encoding_of(data)
    return data.decode(encoding, "replace"), LEGACY_ENCODINGS.get(encoding, "")


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a small file as `decode_text` does.

    Raises:
        DataError: if it cannot be read, is no regular file, or is too large to be a caption.
    """
    try:
        if not path.is_file():  # a pipe or a device has no end
            raise DataError(f"its side file {path.name} is not a file")
        if path.stat().st_size > LARGEST_TEXT:
            raise DataError(f"its side file {path.name} is larger than {LARGEST_TEXT >> 20} MiB")
        return decode_text(path.read_bytes())
    except OSError as error:
        raise DataError(f"its side file {path.name} cannot be read ({error.strerror})") from None


def caption_lines(text: str, language: str) -> list[Caption]:
    """Return one caption for each line that holds words."""
    return _captions(text.splitlines(), language)


def captions_in(value: Any, language: str) -> list[Caption]:
    """Return the captions of a text, a list of texts, {language: texts}, or an object with a caption inside."""
    if isinstance(value, str):
        return _captions([value], language)
    if isinstance(value, list | tuple):
        return [caption for each in value for caption in captions_in(each, language)]
    if not isinstance(value, dict):
        return []
    own = language_in(value, language)
    key = next((key for key in TEXT_KEYS if value.get(key)), None)
    if key is not None:
        return captions_in(value[key], own)
    return [caption for key, each in value.items() if is_language(key) for caption in captions_in(each, key)]


def tags_in(value: Any, language: str) -> list[Caption]:
    """Return tags: a list of texts, or one text that separates them by commas or semicolons."""
    if isinstance(value, str):
        return _captions(re.split(r"[,;]", value), language)
    if isinstance(value, dict):
        return [tag for key, each in value.items() if is_language(key) for tag in tags_in(each, key)]
    return captions_in(value, language)


def is_language(name: str) -> bool:
    """Return whether a word has the form of a BCP-47 code in common use."""
    return _LANGUAGE.fullmatch(name) is not None


def language_in(values: Mapping[str, Any], language: str) -> str:
    """Return the language that an object gives for its own texts, else `language`."""
    named = values.get("language") or values.get("lang")
    return named if isinstance(named, str) and is_language(named) else language


def split_named(value: Any) -> str:
    """Return "train", "validation" or "test" for the names that sources give them, "" for anything else."""
    return _SPLITS.get(value.strip().lower(), "") if isinstance(value, str) else ""


def _captions(texts: Iterable[str], language: str) -> list[Caption]:
    language = language.replace("_", "-")
    return [Caption(text=text, language=language) for text in map(clean, texts) if text]
