from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.shapes import shape_records

from limner.data.augmentation import UNCHANGED
from limner.data.picture_set import PictureSet, Record
from limner.data.pictures import LoaderConfig, PictureLoader
from limner.errors import DataError
from limner.types import Rank


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    bare = [Record(id=record.id, picture=record.picture) for record in shape_records()]
    return PictureSet.write(tmp_path_factory.mktemp("sets") / "bare", bare)


def loader(pictures: PictureSet, **changes) -> PictureLoader:
    config = LoaderConfig(**{"batch_size": 10, "seed": 3} | changes)
    return PictureLoader([pictures], [np.arange(len(pictures))], config, image_size=24)


def test_pictures_need_no_captions(pictures: PictureSet) -> None:
    batch = loader(pictures).batch(0)
    assert batch.images.shape == (10, 3, 24, 24) and float(batch.images.min()) >= 0 and float(batch.images.max()) <= 1


def test_a_stream_started_later_is_the_rest_of_the_stream(pictures: PictureSet) -> None:
    whole = list(islice(loader(pictures).batches(0), 12))
    later = list(islice(loader(pictures, num_threads=4, num_ahead=7).batches(7), 5))
    assert all(torch.equal(one.images, other.images) for one, other in zip(whole[7:], later, strict=True))
    assert not torch.equal(whole[0].images, whole[1].images)


def test_an_epoch_shows_every_picture_once(pictures: PictureSet) -> None:
    seen = loader(pictures, batch_size=len(pictures), augmentation=UNCHANGED)
    first, second = (seen.batch(number).images for number in (0, 1))
    rows = [sorted(images.flatten(1).sum(dim=1).tolist()) for images in (first, second)]
    assert rows[0] == pytest.approx(rows[1]) and not torch.equal(first, second)


def test_the_ranks_share_a_batch(pictures: PictureSet) -> None:
    rows, config = [np.arange(len(pictures))], LoaderConfig(batch_size=10, seed=3)
    whole = PictureLoader([pictures], rows, config, image_size=24).batch(2).images
    parts = [
        PictureLoader([pictures], rows, config, image_size=24, rank=Rank(rank, 2)).batch(2).images for rank in (0, 1)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_a_picture_that_cannot_be_decoded_is_white_and_counted(tmp_path: Path) -> None:
    records = [Record(id="good", picture=next(iter(shape_records())).picture), Record(id="bad", picture=b"no picture")]
    broken = loader(PictureSet.write(tmp_path / "set", records), batch_size=2, augmentation=UNCHANGED)
    images = broken.batch(0).images
    assert broken.num_broken == 1 and bool((images.flatten(1) == 1).all(dim=1).any())


def test_nothing_to_train_on_is_an_error(pictures: PictureSet) -> None:
    with pytest.raises(DataError, match="no picture to train on"):
        PictureLoader([pictures], [np.arange(0)], LoaderConfig(), image_size=24)
