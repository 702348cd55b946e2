"""The command `limner` in a process of its own, to be killed, starved of disk, or run beside another."""

import subprocess
import sys
from collections.abc import Callable, Mapping

__all__ = ["Command", "finish", "set_words", "start"]

Command = Callable[..., tuple[int, str, str]]
"""Words to exit status, standard output and standard error."""


def set_words(settings: Mapping[str, object]) -> list[str]:
    """Return the words that set these values."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def start(
    *words: object, disk_blocks: int | None = None, is_silent: bool = False, num_processes: int = 1
) -> "subprocess.Popen[str]":
    """Start the command, by torchrun in several processes; no file grows past `disk_blocks` KiB, as on a full disk."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), "-m", "limner.cli", *map(str, words)]
    if disk_blocks is not None:
        command = ["bash", "-c", f'ulimit -f {disk_blocks}; exec "$@"', "limner", *command]
    stream = subprocess.DEVNULL if is_silent else subprocess.PIPE
    return subprocess.Popen(command, stdout=stream, stderr=stream, text=True)


def finish(*words: object, disk_blocks: int | None = None, num_processes: int = 1) -> tuple[int, str, str]:
    """Run the command to its end; return its exit status, standard output and standard error."""
    with start(*words, disk_blocks=disk_blocks, num_processes=num_processes) as process:
        out, err = process.communicate()
    return process.returncode, out, err
