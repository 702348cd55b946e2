import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.data.picture_files import encoded, gradient, png_of

from limner.data.picture_set import PictureSet, Record
from limner.errors import DataError, UsageError
from limner.services.checking import check
from limner.services.importing import SourceOptions, import_source
from limner.services.picture_sets import describe, sample, write_sheet

OPTIONS = SourceOptions()


def drawing(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    rng = random.Random(seed)
    image = Image.new("RGB", (6, 4))
    image.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(24)])
    return image.resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five sound pictures of three kinds, two the same, one small; four broken files; captions for three."""
    source = tmp_path / "source"
    source.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.webp")):
        drawing(number).save(source / name)
    (source / "again.png").write_bytes((source / "a.png").read_bytes())
    drawing(9, (12, 8)).save(source / "tiny.gif")
    (source / "short.png").write_bytes((source / "a.png").read_bytes()[:80])
    (source / "bomb.png").write_bytes(png_of((gradient() * 255).astype("uint8"), claimed=(50_000, 50_000)))
    (source / "text.jpg").write_text("hello")
    (source / "empty.bmp").touch()
    for name, text in (("a", "first"), ("b", "second\nanother"), ("c.ru", "третья")):
        (source / f"{name}.txt").write_text(text)
    return source


def test_sound_pictures_are_kept_and_the_others_named(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []
    done = import_source(str(folder), tmp_path / "set", OPTIONS, report=lambda *step: seen.append(step))
    records = {record.id: record for record in PictureSet.open(tmp_path / "set").records()}
    assert sorted(records) == ["a.png", "again.png", "b.jpg", "c.webp", "tiny.gif"]
    assert (records["b.jpg"].width, records["b.jpg"].height) == (60, 40)
    assert records["b.jpg"].picture == (folder / "b.jpg").read_bytes()
    assert (done.num_pictures, done.num_captions, done.num_without_captions, done.num_rejected) == (5, 4, 2, 4)
    assert done.languages == {"": 3, "ru": 1}
    lines = [json.loads(line) for line in Path(done.report).read_text().splitlines()]
    assert sorted(line["name"] for line in lines) == ["bomb.png", "empty.bmp", "short.png", "text.jpg"]
    assert sum(done.rejected.values()) == 4
    assert seen[-1][0] == 9


def test_turned_photographs_and_drawings_have_their_shown_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    drawing(1, (1600, 800)).save(tmp_path / "in" / "turned.jpg", exif=exif)
    (tmp_path / "in" / "drawing.svg").write_text('<svg viewBox="0 0 2 1"><rect width="2" height="1"/></svg>')
    import_source(str(tmp_path / "in"), tmp_path / "set", OPTIONS)
    sizes = {record.id: (record.width, record.height) for record in PictureSet.open(tmp_path / "set").records()}
    assert sizes == {"turned.jpg": (800, 1600), "drawing.svg": (256, 256)}


def test_a_set_is_replaced_only_when_asked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    import_source(str(folder), out, OPTIONS)
    with pytest.raises(UsageError, match="--replace"):
        import_source(str(folder), out, OPTIONS)
    for name in ("short.png", "bomb.png", "text.jpg", "empty.bmp"):
        (folder / name).unlink()
    assert import_source(str(folder), out, OPTIONS, replace=True).num_rejected == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "source"]
    with pytest.raises(DataError, match="not a picture set"):
        import_source(str(folder), folder, OPTIONS, replace=True)


def test_a_set_is_a_source(folder: Path, tmp_path: Path) -> None:
    import_source(str(folder), tmp_path / "one", OPTIONS)
    import_source(str(tmp_path / "one"), tmp_path / "two", OPTIONS)
    assert list(PictureSet.open(tmp_path / "one").records()) == list(PictureSet.open(tmp_path / "two").records())


def test_nothing_to_import_is_a_named_error(tmp_path: Path) -> None:
    empty, broken, silent = tmp_path / "empty", tmp_path / "broken", tmp_path / "silent"
    for path in (empty, broken, silent):
        path.mkdir()
    (broken / "a.png").write_bytes(b"x")
    drawing(1).save(silent / "0001.png")
    for source, reason in (
        (empty, "no pictures in"),
        (broken, r"none of the 1 pictures.*a\.png is not a picture"),
        (silent, r"has a caption.*text file beside"),
        (tmp_path / "nowhere", "nothing at"),
    ):
        with pytest.raises(DataError, match=reason):
            import_source(str(source), tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


def test_two_pictures_of_one_name_are_not_confused(tmp_path: Path) -> None:
    for shard, colour in (("x/000.tar", "red"), ("y/000.tar", "blue")):
        (tmp_path / shard).parent.mkdir()
        _tar(tmp_path / shard, {"a.png": encoded(Image.new("RGB", (20, 20), colour), "PNG"), "a.txt": b"x"})
    done = import_source(f"{tmp_path}/{{x,y}}/000.tar", tmp_path / "set", OPTIONS)
    assert (done.num_pictures, done.rejected) == (1, {"has the name of another picture of the source": 1})


def _tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_check_finds_what_is_wrong_in_folders_and_sets(folder: Path, tmp_path: Path) -> None:
    drawing(2).resize((30, 20)).save(folder / "small_c.png")
    import_source(str(folder), tmp_path / "set", OPTIONS)
    for place, broken in ((folder, ["bomb.png", "empty.bmp", "short.png", "text.jpg"]), (tmp_path / "set", [])):
        found = check(str(place), OPTIONS)
        assert sorted(found.broken) == broken
        assert found.num_pictures == 6 + len(broken)
        assert found.tiny == {"tiny.gif": "12 x 8"}
        assert found.duplicates == [["a.png", "again.png"]]
        assert found.near_duplicates == [["c.webp", "small_c.png"]]
        assert found.without_captions == ["again.png", "small_c.png", "tiny.gif"]
        json.dumps(found.to_json())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        check(str(tmp_path / "empty"), OPTIONS)


def test_a_broken_picture_inside_a_set_is_found_and_shown_grey(tmp_path: Path) -> None:
    PictureSet.write(
        tmp_path / "set", [Record(id="a", picture=b"broken"), Record(id="b", picture=encoded(drawing(1), "PNG"))]
    )
    assert list(check(str(tmp_path / "set"), OPTIONS).broken) == ["a"]
    assert sample(tmp_path / "set").pictures[0].getpixel((0, 0)) == (235, 235, 235)


def test_show_counts_and_draws(folder: Path, tmp_path: Path) -> None:
    import_source(str(folder), tmp_path / "set", OPTIONS)
    summary = describe(tmp_path / "set")
    assert (summary.num_pictures, summary.num_captions, summary.num_concepts) == (5, 4, 5)
    assert summary.languages == {"": 3, "ru": 1}
    assert summary.bytes == sum(len(record.picture) for record in PictureSet.open(tmp_path / "set").records())
    some = [record.id for record in sample(tmp_path / "set", count=3, seed=1).records]
    assert some == [record.id for record in sample(tmp_path / "set", count=3, seed=1).records]
    assert len({tuple(r.id for r in sample(tmp_path / "set", count=2, seed=seed).records) for seed in range(9)}) > 1
    write_sheet(sample(tmp_path / "set"), tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.width > 400
    with pytest.raises(UsageError, match="--out"):
        write_sheet(sample(tmp_path / "set"), tmp_path / "sheet.txt")
    with pytest.raises(UsageError, match="split"):
        sample(tmp_path / "set", splits=["test"])
