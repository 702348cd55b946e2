import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.shapes import shape_records, write_colourless_shapes, write_shapes

from limner.data.augmentation import UNCHANGED, AugmentationConfig
from limner.data.captions import CaptionChoice, Captions
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.picture_set import PictureSet, Record
from limner.data.tints import TINTS
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.errors import DataError
from limner.types import ALONE, CaptionedBatch, Rank


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    return write_shapes(tmp_path_factory.mktemp("sets") / "shapes")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [caption.text for record in shape_records() for caption in record.captions]
    return Tokenizer.train(texts, TokenizerConfig(vocab_size=300))


def loader(pictures: PictureSet, tokenizer: Tokenizer, *, rank: Rank = ALONE, **changes) -> CaptionedLoader:
    config = LoaderConfig(**{"batch_size": 10, "seed": 3} | changes)
    return CaptionedLoader(
        [pictures],
        [np.arange(len(pictures))],
        tokenizer,
        config,
        image_size=24,
        text_length=12,
        rank=rank,
    )


def equal(one: CaptionedBatch, other: CaptionedBatch) -> bool:
    pairs = zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def check_parts(whole: CaptionedBatch, parts: list[CaptionedBatch]) -> None:
    assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
    for name in ("concepts", "texts", "tokens"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts])), name


def test_a_stream_started_later_is_the_rest_of_the_stream(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    whole = list(itertools.islice(loader(pictures, tokenizer).batches(0), 12))
    later = list(itertools.islice(loader(pictures, tokenizer, num_threads=4, num_ahead=7).batches(7), 5))
    assert all(equal(one, other) for one, other in zip(whole[7:], later, strict=True))
    assert not equal(whole[0], whole[1])


def test_each_epoch_shows_every_picture_once_in_another_order(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    stream = loader(pictures, tokenizer)
    count = len(pictures)
    first = [stream.pictures.item(element) for element in range(count)]
    second = [stream.pictures.item(element) for element in range(count, 2 * count)]
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second


@pytest.mark.parametrize("num_ranks", [2, 5])
def test_ranks_share_the_batch_of_one_process(num_ranks: int, pictures: PictureSet, tokenizer: Tokenizer) -> None:
    whole = loader(pictures, tokenizer).batch(4)
    parts = [loader(pictures, tokenizer, rank=Rank(rank, num_ranks)).batch(4) for rank in range(num_ranks)]
    check_parts(whole, parts)


@pytest.mark.parametrize("num_ranks", [2, 5])
def test_tints_do_not_depend_on_the_number_of_processes(num_ranks: int, tmp_path: Path, tokenizer: Tokenizer) -> None:
    pictures = write_colourless_shapes(tmp_path / "set")
    whole = loader(pictures, tokenizer, tint_rate=0.6).batch(4)
    ranks = [Rank(rank, num_ranks) for rank in range(num_ranks)]
    parts = [loader(pictures, tokenizer, tint_rate=0.6, rank=rank).batch(4) for rank in ranks]
    check_parts(whole, parts)


def test_tinted_pictures_come_as_two_of_one_thing_with_texts_that_say_their_colours(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    stream = loader(
        write_colourless_shapes(tmp_path / "set"), tokenizer, tint_rate=1.0, captions=CaptionChoice(languages={"en": 1})
    )
    elements, items = stream.elements(0)
    chosen, tints = stream._tints(elements, items)
    assert chosen[::2] == chosen[1::2] == items[::2]
    _, texts = stream.texts(chosen, [(3, element) for element in elements], tints)
    for tint, drawn in zip(tints, texts, strict=True):
        assert tint is not None and TINTS[tint.tint].name in drawn.text
    batch = stream.batch(0)
    assert all(one != other for one, other in itertools.pairwise(batch.concepts.tolist()[:2]))
    assert len(set(batch.concepts.tolist())) > 6


def test_views_after_the_first_are_changed_and_a_share_of_them_is_in_a_colour(
    pictures: PictureSet, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    plain, stream = (
        loader(write_colourless_shapes(tmp_path / f"set{rate}"), tokenizer, tint_rate=rate, augmentation=UNCHANGED)
        for rate in (0.0, 0.5)
    )
    items = range(len(stream))
    assert stream.view(items, 0, 4).equal(plain.view(items, 3, 4)), "as they are"
    tints = [stream.tint_of_view(item, 3, 4) for item in items]
    assert 0.2 < sum(tint is not None for tint in tints) / len(items) < 0.8
    for item, one, other in zip(items, stream.view(items, 3, 4), plain.view(items, 3, 4), strict=True):
        assert one.equal(other) == (tints[item] is None)
    coloured = loader(pictures, tokenizer, tint_rate=1.0)
    assert all(coloured.tint_of_view(item, 3, 4) is None for item in range(len(coloured))), "they say a colour already"


def test_captions_that_say_a_colour_take_no_other(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    assert equal(loader(pictures, tokenizer).batch(2), loader(pictures, tokenizer, tint_rate=1.0).batch(2))


def test_a_set_smaller_than_a_batch_still_fills_it(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    batch = loader(pictures, tokenizer, batch_size=100).batch(0)
    assert len(batch.images) == 100 and len(set(batch.concepts.tolist())) == 12


def test_equal_texts_and_equal_concepts_have_equal_numbers(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    batch = loader(pictures, tokenizer, batch_size=60).batch(0)
    for one, other in itertools.combinations(range(60), 2):
        same_text = torch.equal(batch.tokens[one], batch.tokens[other])
        assert same_text == bool(batch.texts[one] == batch.texts[other])


def test_without_memory_for_decoded_pictures_the_batches_are_the_same(
    pictures: PictureSet, tokenizer: Tokenizer
) -> None:
    assert equal(loader(pictures, tokenizer).batch(2), loader(pictures, tokenizer, cache_bytes=0).batch(2))


def test_a_picture_that_went_bad_is_counted_and_the_run_goes_on(tmp_path: Path, tokenizer: Tokenizer) -> None:
    good = list(shape_records())[:5]
    broken = dataclasses.replace(good[0], id="broken", picture=good[0].picture[:40])
    stream = loader(PictureSet.write(tmp_path / "set", [*good, broken]), tokenizer, batch_size=6)
    assert stream.batch(0).images.shape == (6, 3, 24, 24)
    assert stream.num_broken == 1


def test_captions_too_long_are_counted(pictures: PictureSet) -> None:
    bytes_only = Tokenizer.train([], TokenizerConfig(vocab_size=259))
    stream = loader(pictures, bytes_only)
    stream.batch(0)
    assert stream.num_truncated > 0


def test_a_set_without_captions_is_an_error(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bare = [Record(id=record.id, picture=record.picture) for record in shape_records()]
    with pytest.raises(DataError, match="caption"):
        loader(PictureSet.write(tmp_path / "set", bare), tokenizer)


def test_languages_are_drawn_by_weight(pictures: PictureSet) -> None:
    choice = CaptionChoice(languages={"en": 3.0, "*": 1.0})
    captions = Captions([pictures], [np.arange(len(pictures))], choice)
    texts = [captions.draw(0, (0, k)).text for k in range(800)]
    share = sum(text.isascii() for text in texts) / len(texts)
    assert 0.68 < share < 0.82


def test_tags_and_templates_are_drawn_at_their_rates(pictures: PictureSet) -> None:
    choice = CaptionChoice(languages={"en": 1.0}, tag_rate=0.5, template_rate=0.25, templates=("an icon of {}",))
    captions = Captions([pictures], [np.arange(len(pictures))], choice)
    texts = Counter(captions.draw(0, (0, k)).text.replace("an icon of ", "icon:") for k in range(1000))
    assert 0.2 < sum(count for text, count in texts.items() if text.startswith("icon:")) / 1000 < 0.3
    assert 0.43 < sum(count for text, count in texts.items() if "a red circle" in text) / 1000 < 0.57


def test_no_change_leaves_pictures_as_they_are(pictures: PictureSet, tokenizer: Tokenizer) -> None:
    still = AugmentationConfig(
        zoom=(1.0, 1.0),
        stretch=0,
        rotation_degrees=0,
        shift=0,
        flip_rate=0,
        brightness=0,
        contrast=0,
        saturation=0,
        hue_degrees=0,
        grey_rate=0,
        ground_rate=0,
        erase_rate=0,
    )
    stream = loader(pictures, tokenizer, augmentation=still)
    batch = stream.batch(0)
    pixels = np.stack(stream.pixels([stream.pictures.item(k) for k in range(10)]))
    expected = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(batch.images, expected, atol=1e-4, rtol=0)
