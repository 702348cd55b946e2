"""Build a built-in picture set: fetch, verify, draw, split, write; or find that it is there already."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from limner.data.builtin import fashion_mnist, icons, openclipart, pictograms
from limner.data.builtin.emoji_names import EMOJIBASE
from limner.data.builtin.icon_families import FAMILIES
from limner.data.builtin.icon_sources import ICON_SOURCES
from limner.data.builtin.packages import Package, cache_folder
from limner.data.builtin.report import BuildReport, FamilyReport, Tally
from limner.data.picture_set import PictureSet, Record
from limner.data.progress import Report
from limner.errors import DataError, UsageError

__all__ = ["BUILTIN", "BuiltinSet", "build"]

_REVISION = 1


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be built."""

    families: tuple[str, ...]
    size: int
    limit: int | None
    packages: Path


@dataclass(frozen=True, kw_only=True)
class BuiltinSet:
    """A real set that Limner builds by itself; `native_size` in pixels is that of pictures never drawn anew."""

    what: str
    records: Callable[[_Order, Tally, Report | None], Iterable[Record]]
    packages: tuple[Package, ...]
    families: tuple[str, ...] = ()
    native_size: int | None = None


def _pictograms(order: _Order, tally: Tally, report: Report | None) -> Iterable[Record]:
    return pictograms.pictogram_records(
        order.families, order.packages, size=order.size, limit=order.limit, tally=tally, report=report
    )


def _openclipart(order: _Order, tally: Tally, report: Report | None) -> Iterable[Record]:
    return openclipart.openclipart_records(
        order.packages, size=order.size, limit=order.limit, tally=tally, report=report
    )


def _icons(order: _Order, tally: Tally, report: Report | None) -> Iterable[Record]:
    return icons.icon_records(
        order.families, order.packages, size=order.size, limit=order.limit, tally=tally, report=report
    )


def _fashion_mnist(order: _Order, tally: Tally, report: Report | None) -> Iterator[Record]:
    total = min(order.limit or fashion_mnist.NUM_PICTURES, fashion_mnist.NUM_PICTURES)
    for done, record in enumerate(fashion_mnist.fashion_mnist_records(order.packages), start=1):
        if done > total:
            return
        if report and done % 500 == 0:
            report(done, total, "")
        yield record


BUILTIN: dict[str, BuiltinSet] = {
    "pictograms": BuiltinSet(
        what="pictograms in eleven styles, named in 28 languages",
        records=_pictograms,
        packages=(EMOJIBASE, *(family.package for family in FAMILIES.values())),
        families=tuple(FAMILIES),
    ),
    "openclipart": BuiltinSet(
        what="clip art in the public domain, with titles and keywords",
        records=_openclipart,
        packages=(openclipart.OPENCLIPART, EMOJIBASE),
    ),
    "icons": BuiltinSet(
        what="icons in many styles, in colour and in one ink, with English names",
        records=_icons,
        packages=(EMOJIBASE, *(source.family.package for source in ICON_SOURCES.values())),
        families=tuple(ICON_SOURCES),
    ),
    "fashion-mnist": BuiltinSet(
        what="small grey pictures of ten kinds of clothes",
        records=_fashion_mnist,
        packages=(fashion_mnist.FASHION_MNIST,),
        native_size=fashion_mnist.SIDE,
    ),
}
"""Every built-in set, by name."""


def build(
    name: str,
    out: str | Path | None = None,
    *,
    size: int | None = None,
    families: Sequence[str] = (),
    limit: int | None = None,
    report: Report | None = None,
) -> BuildReport:
    """Build a set at `out` (default: in the cache), its pictures `size` x `size` (default 128); reuse a finished one.

    `families` and `limit` make a small set; what is in it is split as in the whole one.

    Raises:
        UsageError: for an unknown set or family, or a size for pictures that are never drawn anew.
        DataError: if a package cannot be had or is not what was recorded, or something else is at `out`.
    """
    chosen = _chosen(name, size, families, limit)
    path = Path(out) if out is not None else cache_folder() / "sets" / name
    order = _Order(
        families=tuple(dict.fromkeys(families)) or chosen.families,
        size=size or chosen.native_size or 128,
        limit=limit,
        packages=cache_folder() / "packages",
    )
    recipe = _recipe(name, chosen, order)
    note = path.with_name(path.name + ".report.json")
    if (there := _finished(path, note, recipe)) is not None:
        return there
    _ensure_ours(path, note, name)
    tally = Tally()
    pictures = PictureSet.write(path, _counted(chosen.records(order, tally, report), tally))
    done = BuildReport(name=name, path=str(path), reused=False, num_pictures=len(pictures), families=tally.families())
    text = json.dumps({"recipe": recipe, "report": done.to_json()}, indent=1)
    partial = note.with_name(f".{note.name}.partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(note)
    return done


def _chosen(name: str, size: int | None, families: Sequence[str], limit: int | None) -> BuiltinSet:
    if name not in BUILTIN:
        raise UsageError(f"there is no built-in set '{name}'; there are {', '.join(BUILTIN)}")
    chosen = BUILTIN[name]
    if families and not chosen.families:
        raise UsageError(f"{name} is one family; leave out --families")
    for family in families:
        if family not in chosen.families:
            raise UsageError(f"{name} has no family '{family}'; there are {', '.join(chosen.families)}")
    if size is not None and chosen.native_size:
        raise UsageError(
            f"the pictures of {name} come in {chosen.native_size} x {chosen.native_size}; leave out --size"
        )
    if size is not None and not 16 <= size <= 1024:
        raise UsageError(f"pictures are drawn at 16 to 1024 pixels, got {size}")
    if limit is not None and limit < 1:
        raise UsageError(f"a set holds at least one picture, got a limit of {limit}")
    return chosen


def _recipe(name: str, chosen: BuiltinSet, order: _Order) -> dict[str, Any]:
    contents = {key: value for key, value in asdict(order).items() if key != "packages"}
    contents["families"] = list(order.families)
    packages = {f"{package.name} {package.version}": package.sha256 for package in chosen.packages}
    return {"name": name, "revision": _REVISION, **contents, "packages": packages}


def _finished(path: Path, note: Path, recipe: dict[str, Any]) -> BuildReport | None:
    """The report of a set that is whole and was built by the same recipe."""
    written = _read_note(note)
    if written is None or written["recipe"] != recipe or not path.exists():
        return None
    report = written["report"]
    if len(PictureSet.open(path)) != report["num_pictures"]:
        return None
    families = tuple(FamilyReport(**family) for family in report["families"])
    return BuildReport(**{**report, "path": str(path), "families": families, "reused": True})


def _ensure_ours(path: Path, note: Path, name: str) -> None:
    """Replace only a set that came from here: by its report or, if a build was cut off before it, by its sources."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    written = _read_note(note)
    if written is not None and written["recipe"].get("name") == name:
        return
    sources = set(PictureSet.open(path).rows(["source"])["source"].to_pylist())
    if not sources <= (set(BUILTIN[name].families) or {name}):
        raise DataError(f"{path} holds another picture set; choose another place for {name} or remove it")


def _read_note(note: Path) -> dict[str, Any] | None:
    try:
        written = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return written if isinstance(written, dict) and {"recipe", "report"} <= set(written) else None


def _counted(records: Iterable[Record], tally: Tally) -> Iterator[Record]:
    for record in records:
        tally.keep(record)
        yield record
