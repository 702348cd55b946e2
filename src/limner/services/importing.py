"""Make a picture set of somebody's own pictures and captions."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.data.inspection import inspect
from limner.data.picture_set import PictureSet, Record
from limner.data.progress import Report
from limner.data.sources.items import Items, Note, Rejected, SourceOptions
from limner.data.sources.opening import open_source
from limner.errors import DataError, UsageError

__all__ = ["Import", "SourceOptions", "import_source"]


@dataclass(kw_only=True)
class Import:
    """What an import kept, what it left out by reason, and where each left-out picture is named."""

    source: str
    out: str
    num_pictures: int = 0
    num_captions: int = 0
    num_without_captions: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    num_rejected: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    report: str = ""
    notes: list[str] = field(default_factory=list)


def import_source(
    source: str, out: Path, options: SourceOptions, *, replace: bool = False, report: Report | None = None
) -> Import:
    """Write the sound pictures of a source as a picture set; name the others in `OUT.report.jsonl` beside it.

    Raises:
        DataError: if nothing sound, or no caption at all, is found; nothing is written then but the report.
        UsageError: if `out` exists and is not to be replaced.
    """
    out = Path(out)
    if out.exists() and not replace and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} exists; choose another place, or give --replace")
    done = Import(source=source, out=str(out))
    log = _Log(out.with_name(out.name + ".report.jsonl"), done)
    items = open_source(source, options)
    try:
        PictureSet.write(out, _sound(items, done, log, report))
    finally:
        log.close()
    return done


class _Log:
    """The file that names what was left out; it exists only when something was."""

    def __init__(self, path: Path, done: Import) -> None:
        self._path, self._done = path, done
        self._partial = path.with_name(f".{path.name}.partial")
        self._lines: Any = None

    def reject(self, item: Rejected) -> None:
        """Count and name a picture that is left out."""
        kind = re.sub(r"\s*\(.*\)", "", item.reason)
        self._done.num_rejected += 1
        self._done.rejected[kind] = self._done.rejected.get(kind, 0) + 1
        if self._lines is None:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._lines = self._partial.open("w", encoding="utf-8")
        self._lines.write(json.dumps({"name": item.name, "reason": item.reason}, ensure_ascii=False) + "\n")
        self._done.report = str(self._path)

    def close(self) -> None:
        """Put the file in place, or remove that of an earlier import."""
        if self._lines is None:
            self._path.unlink(missing_ok=True)
            return
        self._lines.close()
        self._partial.replace(self._path)


def _sound(items: Items, done: Import, log: _Log, report: Report | None) -> Iterator[Record]:
    seen: set[str] = set()
    languages: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    first = ""
    for number, item in enumerate(inspect(items), 1):
        if report:
            report(number, None, f"{done.num_rejected} left out" if done.num_rejected else "")
        if isinstance(item, Note):
            if item.text not in done.notes:
                done.notes.append(item.text)
        elif isinstance(item, Rejected):
            first = first or f"{item.name} {item.reason}"
            log.reject(item)
        elif item.record.id in seen:
            log.reject(Rejected(name=item.record.id, reason="has the name of another picture of the source"))
        else:
            record = item.record
            seen.add(record.id)
            done.num_captions += len(record.captions)
            done.num_without_captions += not record.captions
            languages.update(caption.language for caption in record.captions)
            splits[record.split] += 1
            yield Record(**{**record.__dict__, "width": item.width, "height": item.height})
    done.num_pictures = len(seen)
    done.languages, done.splits = dict(languages.most_common()), dict(splits)
    _ensure_useful(done, first)


def _ensure_useful(done: Import, first: str) -> None:
    if not done.num_pictures and done.num_rejected:
        raise DataError(
            f"none of the {done.num_rejected} pictures in {done.source} can be used; {done.report} names them "
            f"(the first: {first})"
        )
    if not done.num_pictures:
        raise DataError(f"there are no pictures in {done.source}; give a folder, table or tar that holds some")
    if not done.num_captions:
        raise DataError(
            f"none of the {done.num_pictures} pictures in {done.source} has a caption; put a text file beside each "
            "(a.txt beside a.png), or give --captions-from-names to use their names"
        )
