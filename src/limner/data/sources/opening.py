"""From a path to a reader: which layout a source has."""

import re
from collections.abc import Callable
from pathlib import Path

from limner.data.picture_set import PictureSet, is_picture_set
from limner.data.sources.coco import read_captions_json
from limner.data.sources.folder import read_folder
from limner.data.sources.items import Items, SourceOptions
from limner.data.sources.paths import expand
from limner.data.sources.tables import read_delimited, read_json_lines, read_parquet
from limner.data.sources.webdataset import read_tar
from limner.errors import DataError

__all__ = ["READERS", "open_source"]

READERS: dict[str, Callable[[Path, SourceOptions], Items]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".json": read_captions_json,
    ".tar": read_tar,
}

_COMPRESSED_TAR = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)


def open_source(source: str | Path, options: SourceOptions | None = None) -> Items:
    """Return the records of a folder, a file of a known layout, several such (`{000..015}.tar`), or a picture set.

    A folder that holds nothing but tars or Parquet files is read as these.

    Raises:
        DataError: if there is nothing, or nothing of a known layout, at `source`.
    """
    options = options or SourceOptions()
    paths = expand(str(source))
    if len(paths) == 1 and paths[0].is_dir():
        return _open_folder(paths[0], options)
    for path in paths:
        if _COMPRESSED_TAR.search(path.name):
            raise DataError(f"{path} is compressed; unpack it to a plain .tar first")
        if path.suffix.lower() not in READERS:
            raise DataError(f"{path} is of no known layout; import a folder, {', '.join(READERS)}")
    return _one_after_another(paths, options)


def _open_folder(folder: Path, options: SourceOptions) -> Items:
    if is_picture_set(folder):
        return PictureSet.open(folder).records()
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for kind in (".tar", ".parquet"):
        shards = [path for path in files if path.suffix.lower() == kind]
        if shards and len(shards) == len(files):
            return _one_after_another(shards, options)
    return read_folder(folder, options)


def _one_after_another(paths: list[Path], options: SourceOptions) -> Items:
    for path in paths:
        yield from READERS[path.suffix.lower()](path, options)
