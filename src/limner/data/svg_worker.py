"""A process of its own that draws SVG: what makes the renderer hang, crash or eat memory ends here.

Run by path, with nothing of the project imported. In: size, length, UTF-8 text. Out: length, PNG; length 0 and the
reason's length and text when it cannot be drawn.
"""

import resource
import struct
import sys

import resvg_py

__all__ = ["serve"]

_MEMORY_BYTES = 2 << 30
_SECONDS_A_PICTURE = 5


def serve() -> None:
    """Answer requests on standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(8):
        size, length = struct.unpack("<II", header)
        text = source.read(length).decode()
        _allow_seconds(_SECONDS_A_PICTURE)
        try:
            picture = resvg_py.svg_to_bytes(
                svg_string=text, width=size, height=size, dpi=96, background="#ffffff", skip_system_fonts=True
            )
            target.write(struct.pack("<I", len(picture)) + picture)
        except Exception as error:
            reason = str(error).encode()[:200]
            target.write(struct.pack("<II", 0, len(reason)) + reason)
        target.flush()


def _allow_seconds(seconds: int) -> None:
    """Have the system end this process when it has computed that much longer."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    serve()
