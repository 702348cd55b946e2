import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from limner.data.builtin.packages import Limits, Package, cache_folder, fetch, read_members
from limner.errors import DataError


def tarball(path: Path, *members: tarfile.TarInfo, content: bytes = b"hello") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def everything(path: Path, limits: Limits | None = None) -> dict[str, bytes]:
    return dict(read_members(path, lambda name: True, limits=limits))


def test_wanted_files_are_read_and_nothing_is_written(tmp_path: Path) -> None:
    archive = tarball(tmp_path / "a.tgz", tarfile.TarInfo("package/icons.json"), tarfile.TarInfo("package/index.js"))
    assert dict(read_members(archive, lambda name: name.endswith(".json"))) == {"package/icons.json": b"hello"}
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "package/../../escape", "package\\..\\escape"])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    archive = tarball(tmp_path / "a.tgz", tarfile.TarInfo("package/fine"), tarfile.TarInfo(name))
    with pytest.raises(DataError, match="points outside it"):
        everything(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("package/icons.json")
    link.type, link.linkname = kind, "/etc/passwd"
    assert everything(tarball(tmp_path / "a.tgz", link)) == {}


def test_bombs_are_refused_before_they_are_read(tmp_path: Path) -> None:
    size = 50 << 20
    member = tarfile.TarInfo("package/zeros")
    member.size = size
    path = tmp_path / "bomb.tgz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(member.tobuf() + bytes(size))
    assert path.stat().st_size < 1 << 20
    for limits in (Limits(member_size=1 << 20), Limits(total_size=1 << 20)):
        with pytest.raises(DataError, match="unpacks to more than is safe"):
            everything(path, limits)
    many = tarball(tmp_path / "many.tgz", *(tarfile.TarInfo(f"package/{number}") for number in range(20)))
    with pytest.raises(DataError, match="unpacks to more than is safe"):
        everything(many, Limits(num_members=10))


@pytest.mark.parametrize("content", [b"", b"not an archive", gzip.compress(b"neither is this", mtime=0)[:-6]])
def test_damaged_archives_say_what_to_do(tmp_path: Path, content: bytes) -> None:
    for name in ("a.tgz", "a.deb"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="delete it and fetch it again"):
            everything(tmp_path / name)


def test_a_truncated_archive_says_what_to_do(tmp_path: Path) -> None:
    archive = tarball(tmp_path / "a.tgz", tarfile.TarInfo("package/a"), content=os.urandom(100_000))
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(DataError, match="delete it and fetch it again"):
        everything(archive)


def test_files_of_a_debian_package_are_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: t\n"
    )
    (root / "usr/share/tiny").mkdir(parents=True)
    (root / "usr/share/tiny/word").write_text("hello")
    subprocess.run(["dpkg-deb", "-Zxz", "--build", root, tmp_path / "tiny.deb"], check=True, capture_output=True)
    assert everything(tmp_path / "tiny.deb") == {"usr/share/tiny/word": b"hello"}


def client(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


def package(content: bytes) -> Package:
    return Package(client="npm", name="@scope/tiny", version="1.0.0", sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def test_a_package_is_fetched_once_and_again_when_its_copy_is_damaged(tmp_path: Path, programs: Path) -> None:
    client(programs, f"echo call >> {tmp_path}/calls; printf content > scope-tiny-1.0.0.tgz")
    cache = tmp_path / "cache"
    for _ in range(2):
        archive = fetch(package(b"content"), cache)
        assert archive.read_bytes() == b"content"
    archive.write_bytes(b"rotten")
    assert fetch(package(b"content"), cache).read_bytes() == b"content"
    assert (tmp_path / "calls").read_text() == "call\ncall\n"
    assert list(cache.iterdir()) == [archive]


def test_another_content_than_the_recorded_is_refused_and_not_kept(tmp_path: Path, programs: Path) -> None:
    client(programs, "printf evil > scope-tiny-1.0.0.tgz")
    with pytest.raises(DataError, match="not the recorded"):
        fetch(package(b"content"), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_client_that_fails_is_quoted(tmp_path: Path, programs: Path) -> None:
    client(programs, "echo 'npm error 404 no such package' >&2; exit 1")
    with pytest.raises(DataError, match=r"404 no such package.*set npm's registry"):
        fetch(package(b"content"), tmp_path / "cache")


def test_a_client_that_leaves_nothing_is_an_error(tmp_path: Path, programs: Path) -> None:
    client(programs, "exit 0")
    with pytest.raises(DataError, match="left no archive"):
        fetch(package(b"content"), tmp_path / "cache")


def test_a_missing_client_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm, which is not installed; install"):
        fetch(package(b"content"), tmp_path / "cache")


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LIMNER_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "limner"
