import json
from pathlib import Path

import pytest
from PIL import Image

from limner.data.picture_set import Record
from limner.data.sources.items import Rejected, SourceOptions
from limner.data.sources.opening import open_source
from limner.errors import DataError


def test_coco_captions(tmp_path: Path) -> None:
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "val2017" / "1.jpg")
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "license": 4}, {"id": 2, "file_name": "2.jpg"}, "noise"],
        "annotations": [
            {"image_id": 1, "id": 7, "caption": "a fox"},
            {"image_id": 2, "caption": "gone"},
            {"image_id": 1, "caption": " a red\nfox "},
            {"image_id": 1, "caption": None},
            5,
        ],
        "licenses": [{"id": 4, "name": "Attribution License"}],
    }
    path = tmp_path / "annotations" / "captions_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    record, missing = open_source(path, SourceOptions(pictures=tmp_path / "val2017", language="en"))
    assert isinstance(record, Record)
    assert [caption.text for caption in record.captions] == ["a fox", "a red fox"]
    assert (record.id, record.licence, record.captions[0].language) == ("1.jpg", "Attribution License", "en")
    assert isinstance(missing, Rejected) and missing.name == "2.jpg"


def test_karpathy_splits(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / "val2014").mkdir(exist_ok=True)
        Image.new("RGB", (20, 20)).save(tmp_path / "val2014" / f"{name}.jpg")
    images = [
        {
            "filepath": "val2014",
            "filename": f"{name}.jpg",
            "split": split,
            "sentences": [{"raw": "one"}, {"raw": "two"}],
        }
        for name, split in zip("abc", ("restval", "val", "test"), strict=True)
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    records = [item for item in open_source(tmp_path / "dataset.json") if isinstance(item, Record)]
    assert [record.split for record in records] == ["train", "validation", "test"]
    assert [[caption.text for caption in record.captions] for record in records] == [["one", "two"]] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ('{"a": 1}', "'images'"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "bbox": []}]}', "no captions"),
        ("5", "'images'"),
        ("[]", "no rows"),
    ],
)
def test_other_json_is_a_named_error(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=reason):
        list(open_source(tmp_path / "x.json"))
