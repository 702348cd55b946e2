import itertools

import numpy as np
import pytest
import torch
from tests.shapes import shape_records, write_shapes

from limner.data.captions import CaptionChoice
from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.ranking import RankingLoader
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.types import RankingBatch


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> CaptionedLoader:
    pictures = write_shapes(tmp_path_factory.mktemp("sets") / "shapes")
    texts = [caption.text for record in shape_records() for caption in record.captions]
    return CaptionedLoader(
        [pictures],
        [np.arange(len(pictures))],
        Tokenizer.train(texts, TokenizerConfig(vocab_size=300)),
        LoaderConfig(batch_size=8, seed=3, captions=CaptionChoice(languages={"en": 1.0})),
        image_size=24,
        text_length=12,
    )


def tensors(batch: RankingBatch) -> list[torch.Tensor]:
    sides = (batch.queries, batch.documents)
    return [each for side in sides for each in (side.concepts, side.images, side.tokens) if each is not None]


def equal(one: RankingBatch, other: RankingBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def of_two_concepts_on(items: int) -> np.ndarray:
    """Mined for item i: items i + 5 and i + 9, and then nothing."""
    rows = np.arange(items)[:, None]
    return np.concatenate([(rows + [5, 9]) % items, np.full((items, 1), -1)], axis=1).astype(np.int32)


@pytest.mark.parametrize("num_mined", [0, 2])
@pytest.mark.parametrize(("query", "document"), [("text", "picture"), ("picture", "text"), ("picture", "picture")])
def test_document_i_answers_query_i(stream: CaptionedLoader, query, document, num_mined: int) -> None:
    lists = RankingLoader(stream, query=query, document=document, num_mined=num_mined)
    batch = lists.batch(2, of_two_concepts_on(len(stream)) if num_mined else None)
    assert torch.equal(batch.documents.concepts[:8], batch.queries.concepts)
    assert len(batch.documents.concepts) == 8 * (1 + num_mined)
    assert (batch.num_mined, batch.num_items) == (num_mined, 48)
    assert (batch.queries.images is None) == (query == "text")
    assert (batch.documents.tokens is None) == (document == "picture")


def test_mined_documents_are_those_of_the_file(stream: CaptionedLoader) -> None:
    lists = RankingLoader(stream, query="text", document="picture", num_mined=2)
    batch = lists.batch(0, of_two_concepts_on(48))
    _, items = stream.elements(0)
    for place, item in enumerate(items):
        mined = batch.documents.concepts[8 + 2 * place : 10 + 2 * place].tolist()
        assert sorted(mined) == sorted(stream.captions.concepts[(item + step) % 48] for step in (5, 9))


def test_where_too_few_were_mined_others_fill_the_list(stream: CaptionedLoader) -> None:
    lists = RankingLoader(stream, query="text", document="picture", num_mined=3)
    assert len(lists.batch(0, np.full((48, 4), -1, dtype=np.int32)).documents.concepts) == 32


def test_a_picture_asks_for_another_picture_of_its_concept(stream: CaptionedLoader) -> None:
    lists = RankingLoader(stream, query="picture", document="picture", num_mined=0)
    for number in range(4):
        elements, items = stream.elements(number)
        answers = [lists._answer(item, element) for element, item in zip(elements, items, strict=True)]
        assert all(answer != item for answer, item in zip(answers, items, strict=True))


def test_a_stream_started_later_is_the_rest_and_one_with_an_end_ends(stream: CaptionedLoader) -> None:
    lists = RankingLoader(stream, query="text", document="picture", num_mined=2)
    negatives = of_two_concepts_on(48)
    whole = list(lists.batches(0, 9, negatives))
    later = list(itertools.islice(lists.batches(5, None, negatives), 4))
    assert len(whole) == 9
    assert all(equal(one, other) for one, other in zip(whole[5:], later, strict=True))
    assert not equal(whole[0], whole[6])
