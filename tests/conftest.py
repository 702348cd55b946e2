"""One thread for torch: two threads on a loaded machine are many times slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import typechecker  # noqa: F401  the import hook of the shape checks looks it up

# isort: split

from pathlib import Path

import pytest
import torch

from limner.cli.console import run
from limner.cli.main import app
from tests.colours import write_tiny_model
from tests.command import Command

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of a few thousand random weights, for every test that only needs some model."""
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def limner(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; return its exit status, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        status = run(lambda: app([str(word) for word in words], standalone_mode=False))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
