from pathlib import Path

import numpy as np
import pytest
from tests.shapes import write_colourless_shapes, write_shapes

from limner.data.codes import CodedPictures, CodesLoader, CodeTable
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.tints import TINTS
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.errors import DataError


def rows(items: range) -> CodedPictures:
    """Codes that tell item, view and place, and embeddings that tell item and view."""
    item, view, place = np.meshgrid(np.array(items), np.arange(3), np.arange(4), indexing="ij")
    codes = (item * 100 + view * 10 + place).astype(np.int32)
    return CodedPictures(codes, codes[:, :, :2].astype(np.float32))


def table(folder: Path, num_items: int = 48) -> CodeTable:
    made = CodeTable(folder, num_items=num_items, part_size=20)
    for number, items in made.missing():
        made.write(number, rows(items))
    return made


def test_parts_that_are_there_are_not_asked_for_again(tmp_path: Path) -> None:
    made = table(tmp_path / "codes")
    for kept, own in zip(made.read(), rows(range(48)), strict=True):
        assert np.array_equal(kept, own)
    assert not list(made.missing())
    (tmp_path / "codes/part-00001.safetensors").unlink()
    assert list(made.missing()) == [(1, range(20, 40))]
    with pytest.raises(DataError, match="made again"):
        made.read()


def test_a_damaged_part_is_named_with_the_remedy(tmp_path: Path) -> None:
    made = table(tmp_path)
    path = tmp_path / "part-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="remove it"):
        made.read()


def test_pictures_of_which_no_clip_speaks_have_codes_alone(tmp_path: Path) -> None:
    made = CodeTable(tmp_path, num_items=9)
    made.write(0, rows(range(9))._replace(embeddings=None))
    assert made.read().embeddings is None and np.array_equal(made.read().codes, rows(range(9)).codes)


@pytest.fixture
def loader(tmp_path: Path) -> CodesLoader:
    shapes = write_shapes(tmp_path / "set")
    tokenizer = Tokenizer.train(["a red circle"] * 3, TokenizerConfig(vocab_size=300)).with_dropout(0.5)
    config = LoaderConfig(batch_size=16, num_threads=2)
    captioned = CaptionedLoader([shapes], [np.arange(48)], tokenizer, config, image_size=8, text_length=64)
    return CodesLoader(captioned, table(tmp_path / "codes").read())


def test_codes_stand_beside_the_caption_of_their_own_picture(loader: CodesLoader) -> None:
    for number in range(6):
        _, items = loader.loader.elements(number)
        batch = loader.batch(number)
        assert (batch.codes[:, 0] // 100).tolist() == list(items)
        assert batch.embeddings is not None and batch.embeddings.equal(batch.codes[:, :2].float()), "of the same view"
        for row, item in enumerate(items):
            text = loader.loader.tokenizer.decode(batch.tokens[row].tolist())
            assert text in loader.loader.captions.every_text(item)


def test_a_view_in_a_colour_stands_beside_a_text_that_names_it(tmp_path: Path) -> None:
    shapes = write_colourless_shapes(tmp_path / "set")
    config = LoaderConfig(batch_size=16, num_threads=1, tint_rate=0.7)
    tokenizer = Tokenizer.train(["a red circle"] * 3, TokenizerConfig(vocab_size=300))
    captioned = CaptionedLoader([shapes], [np.arange(48)], tokenizer, config, image_size=8, text_length=64)
    loader = CodesLoader(captioned, table(tmp_path / "codes").read())
    num_tinted = 0
    for number in range(6):
        batch = loader.batch(number)
        for row, code in enumerate(batch.codes[:, 0].tolist()):
            tint = captioned.tint_of_view(code // 100, code // 10 % 10, 3)
            text = tokenizer.decode(batch.tokens[row].tolist())
            names = () if tint is None else (TINTS[tint.tint].name, TINTS[tint.tint].captions["ru"][0][3:])
            assert tint is None or any(name in text for name in names)
            num_tinted += tint is not None
    assert 20 < num_tinted < 76


def test_every_view_is_drawn_and_a_batch_depends_on_its_number_alone(loader: CodesLoader) -> None:
    found = [batch for batch, _ in zip(loader.batches(0), range(9), strict=False)]
    assert {int(view) for batch in found for view in batch.codes[:, 0] // 10 % 10} == {0, 1, 2}
    again = next(loader.batches(7))
    assert again.codes.equal(found[7].codes) and again.tokens.equal(found[7].tokens)


def test_merges_are_dropped_anew_when_a_picture_comes_again(loader: CodesLoader) -> None:
    texts: dict[str, set[tuple[int, ...]]] = {}
    for number in range(12):
        for row in loader.batch(number).tokens.tolist():
            texts.setdefault(loader.loader.tokenizer.decode(row), set()).add(tuple(row))
    assert max(len(spellings) for spellings in texts.values()) > 1
