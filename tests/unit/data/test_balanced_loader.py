"""Balanced batches of real pictures: several of each concept, each changed by numbers of its own."""

import numpy as np
import pytest
import torch
from tests.shapes import write_shapes

from limner.data.balanced_loader import BalancedLoader
from limner.data.balancing import BalanceConfig
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.tokenizer import Tokenizer, TokenizerConfig


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> CaptionedLoader:
    pictures = write_shapes(tmp_path_factory.mktemp("sets") / "shapes")
    tokenizer = Tokenizer.train(["a red circle"] * 3, TokenizerConfig(vocab_size=300))
    rows = np.arange(len(pictures))
    return CaptionedLoader([pictures], [rows], tokenizer, LoaderConfig(num_threads=1), image_size=16, text_length=8)


@pytest.fixture
def balanced(loader: CaptionedLoader) -> BalancedLoader:
    balance = BalanceConfig(num_categories=1, num_labels=3, num_instances=4)
    return BalancedLoader(loader, balance, categories=np.zeros(len(loader), dtype=np.int64))


def test_a_batch_has_as_many_concepts_and_pictures_of_each_as_asked_for(balanced: BalancedLoader) -> None:
    for number in (0, 1, 7):
        batch = balanced.batch(number)
        assert batch.images.shape == (12, 3, 16, 16)
        assert sorted(torch.unique(batch.concepts, return_counts=True)[1].tolist()) == [4, 4, 4]


def test_a_batch_is_a_function_of_its_number(balanced: BalancedLoader) -> None:
    streamed = balanced.batches(2)
    for number in (2, 3):
        one, other = next(streamed), balanced.batch(number)
        assert torch.equal(one.images, other.images) and torch.equal(one.tokens, other.tokens)
    assert not torch.equal(balanced.batch(2).images, balanced.batch(3).images)


def test_a_picture_is_changed_anew_each_time(balanced: BalancedLoader) -> None:
    """Four epochs of four batches show every picture four times, never twice alike."""
    seen = torch.cat([balanced.batch(number).images for number in range(16)]).flatten(1)
    assert len(torch.unique(seen, dim=0)) == len(seen)
