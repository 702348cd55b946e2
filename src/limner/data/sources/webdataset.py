"""WebDataset tars: files that share a name up to the first dot are one sample. Nothing is unpacked to disk."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from limner.data.decoding import LARGEST_FILE, PICTURE_SUFFIXES
from limner.data.picture_set import Record
from limner.data.sources.items import Items, Note, Rejected, SourceOptions
from limner.data.sources.metadata import Metadata
from limner.data.sources.texts import LARGEST_TEXT, caption_lines, clean, decode_text, is_language
from limner.errors import DataError

__all__ = ["read_tar"]

_MOST_PARTS = 64
_TEXTS = ("txt", "caption", "json", "cls")

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_LONGEST_MARK = max(map(len, _COMPRESSIONS))

Parts = dict[str, bytes]


def read_tar(path: Path, options: SourceOptions) -> Items:
    """Yield the pictures of one shard, sample by sample; `cls` and `json` beside captions in `txt` are understood."""
    try:
        with path.open("rb") as file:
            kind = _compression_of(file.read(_LONGEST_MARK))
        if kind:
            yield Rejected(name=str(path), reason=f"is compressed with {kind}; unpack it to a plain .tar first")
            return
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for key, parts in _samples(tar):
                yield from _items(f"{path.stem}/{clean(key)}", parts, options)
            # tarfile takes a damaged header for the end, where there should be zeros or nothing.
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):
                raise tarfile.ReadError(f"no header at byte {tar.offset}")
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield Rejected(name=str(path), reason=f"is a damaged or truncated tar ({error}); what came before is kept")


def _compression_of(data: bytes) -> str:
    """Return the name of the compression that a file beginning so is in, "" if in none that is known."""
    return next((kind for mark, kind in _COMPRESSIONS.items() if data.startswith(mark)), "")


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, Parts | str]]:
    """Yield each key with the contents by extension, or with the reason why the sample is left out."""
    current, reason = "", ""
    parts: Parts = {}
    while member := tar.next():
        # Kept members would fill the memory; nothing looks them up.
        tar.members.clear()  # type: ignore[attr-defined]
        if not member.isfile():
            continue
        folder, slash, base = member.name.rpartition("/")
        stem, _, extension = base.partition(".")
        key = folder + slash + stem
        if not stem:
            continue
        if key != current:
            if parts or reason:
                yield current, reason or parts
            current, parts, reason = key, {}, ""
        kind = extension.lower().rpartition(".")[2]
        is_picture = f".{kind}" in PICTURE_SUFFIXES
        if not is_picture and kind not in _TEXTS:
            continue
        if (
            member.size > (LARGEST_FILE if is_picture else LARGEST_TEXT)
            or member.issparse()
            or len(parts) >= _MOST_PARTS
        ):
            reason = f"has a part that is too large ({extension})"
            continue
        content = tar.extractfile(member)
        parts[extension.lower()] = content.read() if content else b""
    if parts or reason:
        yield current, reason or parts


def _items(name: str, parts: Parts | str, options: SourceOptions) -> Items:
    if isinstance(parts, str):
        yield Rejected(name=name, reason=parts)
        return
    pictures = [extension for extension in parts if "." + extension.rpartition(".")[2] in PICTURE_SUFFIXES]
    if not pictures:
        yield Rejected(name=name, reason="has no picture among its parts")
        return
    metadata = Metadata()
    try:
        for extension, content in parts.items():
            if extension not in pictures:
                yield from _add_text(metadata, name, extension, content, options)
    except DataError as error:
        yield Rejected(name=name, reason=str(error))
        return
    yield Record(id=f"{name}.{pictures[0]}", picture=parts[pictures[0]], **metadata.for_record())


def _add_text(metadata: Metadata, name: str, extension: str, content: bytes, options: SourceOptions) -> Iterator[Note]:
    text, assumed = decode_text(content)
    if assumed:
        yield Note(text=f"{name}.{extension} is not UTF-8; read as {assumed}")
    language, _, kind = extension.rpartition(".")
    if kind == "json":
        metadata.add_json(text, options.language)
    elif kind == "cls" and text.strip().isdigit():
        metadata.concept = metadata.concept or f"class {text.strip()}"
    else:
        metadata.captions += caption_lines(text, language if is_language(language) else options.language)
