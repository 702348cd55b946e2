"""Caption files in JSON: COCO's own layout, Karpathy's, and plain lists of objects."""

import json
from pathlib import Path
from typing import Any

from limner.data.picture_set import Record
from limner.data.sources.items import Items, Rejected, SourceOptions
from limner.data.sources.metadata import Metadata
from limner.data.sources.paths import read_within
from limner.data.sources.tables import read_rows
from limner.data.sources.texts import captions_in, clean, unicode_in
from limner.errors import DataError, PictureError

__all__ = ["read_captions_json"]


def read_captions_json(path: Path, options: SourceOptions) -> Items:
    """Yield the pictures of a JSON file of captions, which is held in memory; the pictures are not.

    COCO has `images` and `annotations`; Karpathy's splits have `images` with `sentences` and `split`; a list of objects
    is read as a table.
    """
    try:
        content = json.loads(path.read_text(encoding=unicode_in(path), errors="replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); repair it") from None
    if isinstance(content, list):
        yield from read_rows((row for row in content if isinstance(row, dict)), path, options)
        return
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise DataError(f"{path} has no list 'images' as COCO caption files have; convert it, or import a table")
    annotations = content.get("annotations")
    captions = _by_image(annotations if isinstance(annotations, list) else [])
    if not captions and not any(isinstance(image, dict) and "sentences" in image for image in images):
        raise DataError(f"{path} holds no captions; take the captions file of the set, not the instances")
    licences = {each.get("id"): each for each in content.get("licenses") or [] if isinstance(each, dict)}
    for image in images:
        if isinstance(image, dict):
            yield _record(image, captions.get(str(image.get("id")), []), licences, path, options)


def _by_image(annotations: list[Any]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for each in annotations:
        if isinstance(each, dict) and isinstance(each.get("caption"), str):
            captions.setdefault(str(each.get("image_id")), []).append(each["caption"])
    return captions


def _record(
    image: dict[str, Any], captions: list[str], licences: dict[Any, Any], path: Path, options: SourceOptions
) -> Record | Rejected:
    name = image.get("file_name") or image.get("filename") or ""
    folder = image.get("filepath") or ""
    place = f"{folder}/{name}" if folder else str(name)
    metadata = Metadata()
    metadata.add({"split": image.get("split")}, options.language)
    metadata.captions += captions_in(captions, options.language)
    metadata.captions += captions_in(image.get("sentences"), options.language)
    licence = licences.get(image.get("license"), {}).get("name")
    metadata.licence = clean(licence) if isinstance(licence, str) else ""
    try:
        picture = read_within(options.pictures or path.parent, place)
    except PictureError as error:
        return Rejected(name=clean(place) or f"image {image.get('id')}", reason=str(error))
    return Record(id=clean(place), picture=picture, **metadata.for_record())
