"""Limner joins pictures and words both ways: find it, or draw it.

data -> nn -> models -> losses -> objectives -> training -> generation | search -> evaluation -> services -> cli
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.data.picture_set import Caption, PictureSet, Record
    from limner.errors import LimnerError
    from limner.search.collection import Collection
    from limner.search.embedder import Embedder
    from limner.search.embedder import load_embedder as load

__all__ = ["Caption", "Collection", "Embedder", "LimnerError", "PictureSet", "Record", "load"]

__version__ = version("limner")

_PLACES = {
    "Caption": ("limner.data.picture_set", "Caption"),
    "Collection": ("limner.search.collection", "Collection"),
    "Embedder": ("limner.search.embedder", "Embedder"),
    "LimnerError": ("limner.errors", "LimnerError"),
    "PictureSet": ("limner.data.picture_set", "PictureSet"),
    "Record": ("limner.data.picture_set", "Record"),
    "load": ("limner.search.embedder", "load_embedder"),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import limner` stays quick."""
    if name not in _PLACES:
        raise AttributeError(f"limner has no {name!r}; it has {', '.join(__all__)}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
