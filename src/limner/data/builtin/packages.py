"""Registry packages: fetched through their ordinary clients, kept in a cache, verified, read without unpacking."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from limner.errors import DataError

__all__ = ["CLIENTS", "Limits", "Package", "cache_folder", "fetch", "read_members"]


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of one package; `sha256` is of the archive that the registry hands out."""

    client: str
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the archive in the cache."""
        ending = {"npm": "tgz", "apt": "deb"}[self.client]
        return f"{self.name}-{self.version}".replace("@", "").replace("/", "-").replace(":", "_") + f".{ending}"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may hold before it is refused (bytes, members)."""

    total_size: int = 1_000_000_000
    member_size: int = 200_000_000
    num_members: int = 200_000


def cache_folder() -> Path:
    """Folder that keeps what can be fetched and built again: `LIMNER_CACHE`, or `~/.cache/limner`."""
    chosen = os.environ.get("LIMNER_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "limner"


def fetch(package: Package, cache: Path) -> Path:
    """Path of the verified archive of `package`, downloaded when the cache lacks it or holds a damaged copy."""
    archive = cache / package.file_name
    if archive.is_file():
        if _sha256(archive) == package.sha256:
            return archive
        archive.unlink()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as folder:
        _run_client(package, Path(folder))
        downloaded = [path for path in Path(folder).iterdir() if path.suffix in {".tgz", ".deb"}]
        if len(downloaded) != 1:
            raise DataError(f"{package.client} left no archive of {package.name} {package.version}; try again")
        found = _sha256(downloaded[0])
        if found != package.sha256:
            raise DataError(
                f"{package.name} {package.version} arrived with sha256 {found}, not the recorded {package.sha256}; "
                "do not use it, and try again with another mirror of the registry"
            )
        downloaded[0].replace(archive)
    return archive


CLIENTS: dict[str, Callable[[Package], list[str]]] = {
    "npm": lambda package: ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
    "apt": lambda package: ["apt-get", "download", "-qq", f"{package.name}={package.version}"],
}
"""Command line of each client; it leaves the archive in the working folder."""

_REMEDIES = {
    "npm": "install Node.js with npm, or set npm's registry to one that you can reach",
    "apt": "run on Debian after `apt-get update`, which needs a root shell",
}


def _run_client(package: Package, folder: Path) -> None:
    command = CLIENTS[package.client](package)
    program = shutil.which(command[0])
    remedy = _REMEDIES[package.client]
    if program is None:
        raise DataError(f"{package.name} comes through {command[0]}, which is not installed; {remedy}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{command[0]} did not answer about {package.name} in 15 minutes; {remedy}") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        reason = said[-1][:300] if said else f"exit status {done.returncode}"
        raise DataError(f"{command[0]} could not download {package.name} {package.version} ({reason}); {remedy}")


def read_members(
    archive: Path, wanted: Callable[[str], bool], *, limits: Limits | None = None
) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the regular files that are `wanted`; nothing is written to disk.

    A member that would land outside its folder, or an archive over `limits`, raises DataError. Links and
    devices are passed over.
    """
    limits = limits or Limits()
    total = 0
    try:
        with archive.open("rb") as file, _open_tar(archive, file) as tar:
            for count, member in enumerate(tar, start=1):
                name = _safe_name(member.name, archive)
                total += member.size
                if count > limits.num_members or total > limits.total_size or member.size > limits.member_size:
                    raise DataError(f"{archive.name} unpacks to more than is safe; delete it and fetch it again")
                if member.isreg() and wanted(name):
                    content = tar.extractfile(member)
                    assert content is not None
                    yield name, content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive.name} cannot be read ({error}); delete it and fetch it again") from error


def _safe_name(name: str, archive: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DataError(f"{archive.name} holds a file that points outside it ({name!r}); delete it")
    return path.as_posix()


def _open_tar(archive: Path, file: IO[bytes]) -> tarfile.TarFile:
    if archive.suffix == ".deb":
        return tarfile.open(fileobj=io.BytesIO(_deb_data(archive, file)), mode="r|xz")
    return tarfile.open(fileobj=file, mode="r|gz")


def _deb_data(archive: Path, file: IO[bytes]) -> bytes:
    """The compressed `data.tar` inside a Debian package, which is an `ar` archive of three members."""
    if file.read(8) != b"!<arch>\n":
        raise DataError(f"{archive.name} is not a Debian package; delete it and fetch it again")
    while len(header := file.read(60)) == 60:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name == "data.tar.xz":
            return file.read(size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise DataError(f"{archive.name} holds no data.tar.xz; delete it and fetch it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
