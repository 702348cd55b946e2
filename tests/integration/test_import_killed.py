"""Real kills and a disk that takes no more: an import leaves no half set, and the next one works."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.command import finish, start

from limner.data.picture_set import PictureSet, Record
from limner.errors import DataError

NUM_PICTURES = 150


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    for number in range(NUM_PICTURES):
        noise = Image.fromarray(rng.integers(0, 256, (150, 150, 3), dtype=np.uint8))
        noise.save(folder / f"fox-{number:04d}.png", compress_level=1)
    return folder


def importing(source: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    return start("data", "import", source, out, *options, is_silent=True)


def kill_once_begun(run: "subprocess.Popen[str]", out: Path, number: int, *, seconds: float = 0.0) -> int:
    """Send a signal some time after the first file is written; return the exit status."""
    while not out.with_name(f".{out.name}.partial").exists() and run.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    run.send_signal(number)
    return run.wait()


def test_killed_imports_leave_no_half_set(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    for seconds in (0.0, 0.3):
        kill_once_begun(importing(source, out), out, signal.SIGKILL, seconds=seconds)
        if out.exists():
            break
        with pytest.raises(DataError):
            PictureSet.open(out)
    else:
        assert importing(source, out).wait() == 0
    assert len(PictureSet.open(out)) == NUM_PICTURES
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_killed_replacement_keeps_the_old_set(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    PictureSet.write(out, [Record(id="one", picture=b"one")])
    kill_once_begun(importing(source, out, "--replace"), out, signal.SIGKILL)
    assert len(PictureSet.open(out)) in (1, NUM_PICTURES)


def test_an_interrupted_import_cleans_up(source: Path, tmp_path: Path) -> None:
    status = kill_once_begun(importing(source, tmp_path / "set"), tmp_path / "set", signal.SIGINT)
    assert status in (0, 130)
    assert [path.name for path in tmp_path.iterdir()] == (["set"] if status == 0 else [])


def test_a_disk_that_takes_no_more_is_a_named_error(source: Path, tmp_path: Path) -> None:
    status, out, err = finish("data", "import", source, tmp_path / "set", disk_blocks=1024)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: the disk is full; ")
    assert list(tmp_path.iterdir()) == []
