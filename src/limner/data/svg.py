"""SVG to pixels, harmlessly: no file, no network, no endless drawing."""

import atexit
import base64
import binascii
import io
import os
import queue
import select
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import IO

from PIL import Image

from limner.errors import PictureError

__all__ = ["draw_svg", "is_svg"]

_LARGEST_BYTES = 32 << 20
_DEEPEST = 200
_MOST_ELEMENTS = 500_000
_PATIENCE_SECONDS = 60.0
_EMBEDDED_PIXELS = 16_000_000
_EMBEDDED_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def is_svg(data: bytes) -> bool:
    """Return whether bytes look like SVG text (or a gzip of it)."""
    if data[:2] == b"\x1f\x8b":
        return True
    start = data[:65_536]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start.replace(b"\0", b"")[2:]
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and (b"<svg" in start or b":svg" in start)


def draw_svg(data: bytes, size: int) -> Image.Image:
    """Draw SVG as large as fits into `size` x `size` pixels, on white; text has no font and is left out.

    Raises:
        PictureError: if it is no sound SVG, refers to itself without end, or takes too long or too much memory.
    """
    text = _harmless(_unzipped(data))
    picture = _draw(text.encode(), size)
    with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
        return image.convert("RGB")


def _unzipped(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        try:
            data = zlib.decompressobj(31).decompress(data, _LARGEST_BYTES + 1)
        except zlib.error:
            raise PictureError("is a damaged gzip file; save it anew") from None
    if len(data) > _LARGEST_BYTES:
        raise PictureError(f"is an SVG of more than {_LARGEST_BYTES >> 20} MiB; simplify it")
    return data


class _LimitedTree(ElementTree.TreeBuilder):
    """Builds the tree, and stops at documents nested or branched beyond reason."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        """Open an element."""
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST or self._count > _MOST_ELEMENTS:
            raise PictureError("is an SVG nested too deeply or with too many elements; simplify it")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        """Close an element."""
        self._depth -= 1
        return super().end(tag)


def _harmless(data: bytes) -> str:
    """Return the document without DTD and without references to anything outside itself."""
    parser = ElementTree.XMLParser(target=_LimitedTree())
    try:
        parser.feed(data)
        root = parser.close()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"is not well-formed SVG ({error}); save it anew") from None
    if root.tag.rpartition("}")[2] != "svg":
        raise PictureError("is XML but not SVG; export it as a picture")
    if root.tag == "svg":
        root.set("xmlns", "http://www.w3.org/2000/svg")
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == "href" and not _stays_inside(value.strip()):
                del element.attrib[name]
    return ElementTree.tostring(root, encoding="unicode")


def _stays_inside(reference: str) -> bool:
    """Return whether a reference is to the same document or to a modest picture embedded in it."""
    if reference.startswith("#"):
        return True
    head, _, body = reference.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        return False
    try:
        embedded = base64.b64decode(body)
        with Image.open(io.BytesIO(embedded), formats=_EMBEDDED_FORMATS) as image:
            return image.width * image.height <= _EMBEDDED_PIXELS
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return False


_Worker = subprocess.Popen[bytes]
_idle: queue.LifoQueue[_Worker] = queue.LifoQueue()


def _draw(text: bytes, size: int) -> bytes:
    """Have an idle drawing process, or a new one, draw; end it when it crashes or does not answer in time."""
    try:
        worker = _idle.get_nowait()
    except queue.Empty:
        worker = _start()
    try:
        answer = _ask(worker, struct.pack("<II", size, len(text)) + text)
    except BaseException as error:
        _end(worker)
        if isinstance(error, TimeoutError):
            raise PictureError("is an SVG that takes too long to draw; simplify it") from None
        if isinstance(error, (BrokenPipeError, EOFError)):
            raise PictureError("is an SVG too involved to draw; simplify it") from None
        raise
    _idle.put(worker)
    if isinstance(answer, str):
        raise PictureError(f"is an SVG that cannot be drawn ({answer}); repair or remove it")
    return answer


def _start() -> _Worker:
    program = Path(__file__).with_name("svg_worker.py")
    return subprocess.Popen(
        [sys.executable, "-I", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _ask(worker: _Worker, request: bytes) -> bytes | str:
    assert worker.stdin is not None and worker.stdout is not None
    deadline = time.monotonic() + _PATIENCE_SECONDS
    worker.stdin.write(request)
    worker.stdin.flush()
    (length,) = struct.unpack("<I", _read(worker.stdout, 4, deadline))
    if length:
        return _read(worker.stdout, length, deadline)
    (length,) = struct.unpack("<I", _read(worker.stdout, 4, deadline))
    return _read(worker.stdout, length, deadline).decode(errors="replace")


def _read(stream: IO[bytes], length: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < length:
        ready, _, _ = select.select([stream], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        piece = os.read(stream.fileno(), length - len(received))
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)


def _end(worker: _Worker) -> None:
    worker.kill()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:  # what could not be written is no longer wanted
                continue
    worker.wait()


def _end_all() -> None:
    while not _idle.empty():
        _end(_idle.get_nowait())


def _forget_all() -> None:
    global _idle
    _idle = queue.LifoQueue()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget_all)
