"""The set `openclipart`: drawings that their authors gave to the public domain, with titles and keywords."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from limner.data.builtin.clip_art_names import ClipArt, Naming, name_key, tags_of
from limner.data.builtin.drawings import Drawing, draw, sample
from limner.data.builtin.emoji_names import read_emoji
from limner.data.builtin.near_duplicates import recorded_pairs
from limner.data.builtin.packages import Package, fetch, read_members
from limner.data.builtin.pictograms import emoji_groups
from limner.data.builtin.report import Tally
from limner.data.builtin.splitting import CLIP_ART, Groups, split_of
from limner.data.picture_set import Caption, Record
from limner.data.progress import Report

__all__ = ["OPENCLIPART", "SOURCE", "openclipart_records"]

OPENCLIPART = Package(
    client="apt",
    name="openclipart-svg",
    version="1:0.18+dfsg-19",
    sha256="989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
)
SOURCE = "openclipart"

_FOLDER = "usr/share/openclipart/svg/"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
_THEME = re.compile(
    r"part of the flat icon collection|lemon svg theme|etiquette icons|icon-?\s?theme|gold-theme|iconset"
    r"|gradient collection",
    re.IGNORECASE,
)


def openclipart_records(
    cache: Path, *, size: int, limit: int | None, tally: Tally, report: Report | None = None
) -> list[Record]:
    """Records of the clip art; with `limit` of that many, of concepts drawn by a stable hash."""
    collection = [clip_art for clip_art in _read(cache, tally) if _is_wanted(clip_art, tally)]
    drawings = _with_texts(collection, cache, tally)
    if limit is not None:
        drawings = sample(drawings, lambda drawing: drawing.record.concept, limit)
    return draw(drawings, size, tally=tally, trim=True, report=report)


def _with_texts(collection: Sequence[ClipArt], cache: Path, tally: Tally) -> list[Drawing]:
    """Drawings whose concept and group are a pictogram's where they bear its name."""
    emoji = read_emoji(cache)
    groups_of_emoji = emoji_groups(emoji)
    concepts: dict[str, str] = {}
    for concept, entry in emoji.items():
        concepts.setdefault(name_key(entry.labels["en"]), concept)
    groups = Groups(recorded_pairs())
    naming = Naming(collection)
    drawings: list[Drawing] = []
    for clip_art in collection:
        captions = naming.captions(clip_art)
        if not captions:
            tally.drop(SOURCE, "no word about it")
            continue
        key = name_key(captions[0].text)
        concept = concepts.get(key, CLIP_ART + key)
        group = "country-flags" if clip_art.is_flag else groups_of_emoji.get(concept, concept)
        drawings.append(_drawing(clip_art, captions, concept, groups.find(group)))
    return drawings


def _drawing(clip_art: ClipArt, captions: tuple[Caption, ...], concept: str, group: str) -> Drawing:
    record = Record(
        id=f"{SOURCE}/{clip_art.place}",
        picture=b"",
        captions=captions,
        tags=tuple(Caption(text=tag, language="en") for tag in tags_of(clip_art)),
        concept=concept,
        group=group,
        source=SOURCE,
        licence="public domain",
        split=split_of(group),
    )
    return Drawing(svg=clip_art.svg, record=record)


def _is_wanted(clip_art: ClipArt, tally: Tally) -> bool:
    folders = clip_art.place.split("/")[:-1]
    reason = ""
    if "publicdomain" not in clip_art.licence.lower():
        reason = "does not say that it is in the public domain"
    elif folders[:2] == ["shapes", "stars"] or clip_art.title == "gramastar":
        reason = "a procedural star"
    elif _THEME.search(clip_art.title) or any(folder.endswith("-theme") for folder in folders):
        reason = "titled by its theme's name"
    if reason:
        tally.drop(SOURCE, reason)
    return not reason


def _read(cache: Path, tally: Tally) -> Iterator[ClipArt]:
    def is_drawing(name: str) -> bool:
        return name.startswith(_FOLDER) and name.endswith(".svg")

    for name, svg in sorted(read_members(fetch(OPENCLIPART, cache), is_drawing)):
        place = name.removeprefix(_FOLDER).removesuffix(".svg")
        try:
            work = next(each for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}Work"))
        except (ElementTree.ParseError, StopIteration):
            tally.drop(SOURCE, "no RDF about it")
            continue
        yield ClipArt(
            place=place,
            svg=svg,
            title=_text(work, "title"),
            creator=_text(work, "creator"),
            description=_text(work, "description"),
            keywords=tuple((each.text or "").strip() for each in work.iter() if each.tag.endswith("}li")),
            licence=next((each.get(_RESOURCE, "") for each in work if each.tag.endswith("}license")), ""),
        )


def _text(work: ElementTree.Element, name: str) -> str:
    found = (each for each in work if each.tag.endswith("}" + name))
    return next((" ".join("".join(each.itertext()).split()) for each in found), "")
