"""A folder of a model or a run appears whole or not at all."""

from pathlib import Path

import pytest

from limner.errors import UsageError
from limner.models.checkpoints import new_folder


def test_a_folder_appears_in_the_end_and_nothing_beside_it(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as draft:
        (draft / "file").write_text("here")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out" / "file").read_text() == "here"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_another_process_made_in_the_meantime_stays(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another process"), new_folder(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]
