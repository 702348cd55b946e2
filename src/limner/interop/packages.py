"""Where the weights of the teachers lie, which come as Python packages (extra `teachers`)."""

from importlib.util import find_spec
from pathlib import Path

from limner.errors import ModelError

__all__ = ["package_folder"]


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        ModelError: if it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the teachers are not installed; run pip install 'limner[teachers]'")
    return Path(spec.submodule_search_locations[0])
