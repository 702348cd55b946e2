from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.colours import ColourEmbedder
from tests.shapes import draw, shape_records
from tests.unit.evaluation.test_drawings import Knowing

from limner.data.picture_set import Caption, PictureSet, Record
from limner.errors import DataError
from limner.evaluation.examples import Examples, embed_pictures, gather_examples, normal_form
from limner.evaluation.retrieval import SecondPass, judge_retrieval, relevant_captions, relevant_pictures
from limner.nn.parts import whole


def examples(concepts, captions):
    """`captions` are (place of the picture, text)."""
    return Examples(
        rows=tuple(range(len(concepts))),
        ids=tuple(f"p{place}" for place in range(len(concepts))),
        concepts=tuple(concepts),
        captions=tuple(text for _, text in captions),
        owners=tuple(owner for owner, _ in captions),
        languages=("en",),
    )


def answers(found):
    return [answer.tolist() for answer in found]


def test_a_caption_is_answered_by_its_concept_and_by_its_twins():
    given = examples("aabc", [(0, "Cat"), (2, "dog"), (3, " CAT "), (2, "beast")])
    assert answers(relevant_pictures(given)) == [[0, 1, 3], [2], [0, 3], [2]]
    assert answers(relevant_captions(given)) == [[0, 2], [0], [1, 3], [0, 2]]


def test_a_picture_without_captions_is_in_the_gallery_and_no_query():
    given = examples("ab", [(0, "a red circle")])
    assert answers(relevant_captions(given)) == [[0], []]
    vectors = np.eye(2, 5, dtype=np.float32)
    found = judge_retrieval(ColourEmbedder(), given, vectors)
    assert found.text_to_picture["MRR"].mean == 1
    assert found.picture_to_text["R@1"].mean == 1


def test_texts_are_the_same_without_case_width_and_spaces():
    assert normal_form("  A  Red\tＣat ") == normal_form("a red cat")
    assert normal_form("straße") == normal_form("STRASSE")
    assert normal_form("cat") != normal_form("cats")


@pytest.fixture
def shapes(tmp_path):
    return PictureSet.write(tmp_path / "shapes", shape_records(sizes=(9, 12)))


def test_figures_by_hand_on_colours(shapes):
    """Of 24 pictures, 6 tie for a colour; a caption's own shape is 2 of these, so only the ids decide."""
    embedder = ColourEmbedder()
    found, vectors = embed_pictures(embedder, shapes, gather_examples(shapes))
    assert len(found.rows) == 24 and len(found.captions) == 24
    figures = judge_retrieval(embedder, found, vectors)
    ranks = []
    for owner in found.owners:
        tied = sorted(
            (i for i in range(24) if found.ids[i].startswith(found.ids[owner].split("-")[0])),
            reverse=True,
            key=lambda i: found.ids[i],
        )
        ranks.append(1 + min(tied.index(i) for i in tied if found.concepts[i] == found.concepts[owner]))
    assert figures.text_to_picture["MRR"].mean == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert figures.text_to_picture["R@1"].mean == pytest.approx(1 / 3)
    assert figures.text_to_picture["R@10"].mean == 1
    low, high = figures.text_to_picture["R@1"].low, figures.text_to_picture["R@1"].high
    assert 0 < low < 1 / 3 < high < 1


def test_the_language_chooses_the_captions(shapes):
    assert set(gather_examples(shapes, language="ru").languages) == {"ru"}
    assert all(caption.startswith("a ") for caption in gather_examples(shapes).captions)
    with pytest.raises(DataError, match="'fr' there; it has: en, ru"):
        gather_examples(shapes, language="fr")


def test_without_english_every_caption_counts(tmp_path):
    records = [
        Record(id="1", picture=draw("red", "circle", 9), captions=(Caption(text="красный", language="ru"),)),
        Record(id="2", picture=draw("blue", "circle", 9), captions=(Caption(text="bleu", language="fr"),)),
    ]
    assert gather_examples(PictureSet.write(tmp_path / "set", records)).languages == ("fr", "ru")


def test_rows_and_splits_choose_the_pictures(tmp_path):
    records = [replace(record, split="test" if "red" in record.id else "train") for record in shape_records()]
    pictures = PictureSet.write(tmp_path / "set", records)
    assert all("red" in id for id in gather_examples(pictures, splits=("test",)).ids)
    assert gather_examples(pictures, rows=[5, 2]).rows == (5, 2)
    with pytest.raises(DataError, match="--split all"):
        gather_examples(pictures, splits=("validation",))


def test_pictures_that_cannot_be_decoded_are_left_out(tmp_path):
    records = list(shape_records(sizes=(9,)))
    records[3] = replace(records[3], picture=b"not a picture")
    pictures = PictureSet.write(tmp_path / "set", records)
    found, vectors = embed_pictures(ColourEmbedder(), pictures, gather_examples(pictures))
    assert records[3].id not in found.ids
    assert len(vectors) == len(found.ids) == len(found.captions) == 11
    assert [found.ids[owner] for owner in found.owners] == list(found.ids)
    assert judge_retrieval(ColourEmbedder(), found, vectors).text_to_picture["R@10"].mean == 1


def test_nothing_to_judge_on_is_said(tmp_path):
    broken = PictureSet.write(
        tmp_path / "broken", [Record(id="1", picture=b"?", captions=(Caption(text="what", language="en"),))]
    )
    with pytest.raises(DataError, match="limner data check"):
        embed_pictures(ColourEmbedder(), broken, gather_examples(broken))
    silent = PictureSet.write(tmp_path / "silent", [Record(id="1", picture=draw("red", "circle", 9))])
    with pytest.raises(DataError, match="import it with captions"):
        gather_examples(silent)


class KnowingWords(Knowing):
    """The same for captions: parts are the number of the shape that each is of."""

    def __init__(self, texts: dict[str, int]) -> None:
        super().__init__()
        self.texts = texts

    def text_parts(self, texts):
        return whole(torch.tensor([self.texts[text] for text in texts]).float()[:, None, None])


@pytest.mark.parametrize("depth", [1, 4, 100])
def test_a_re_ranker_that_knows_finds_what_the_first_stage_has_within_its_depth(shapes, depth):
    """The first stage finds the colour, six pictures at once; which of them is first then decides the re-ranker."""
    embedder = ColourEmbedder()
    found, vectors = embed_pictures(embedder, shapes, gather_examples(shapes))
    numbers = np.unique(found.concepts, return_inverse=True)[1]
    reranker = KnowingWords({text: numbers[owner] for owner, text in zip(found.owners, found.captions, strict=True)})
    parts = whole(torch.from_numpy(numbers).float()[:, None, None])
    alone = judge_retrieval(embedder, found, vectors)
    second = SecondPass(reranker=reranker, depth=depth, parts=parts)
    told = []
    both = judge_retrieval(embedder, found, vectors, second=second, report=lambda *step: told.append(step))
    again = both.reranked
    assert both.text_to_picture == alone.text_to_picture and both.picture_to_text == alone.picture_to_text
    scores = embedder.embed_texts(found.captions) @ vectors.T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    within = [(numbers[row] == numbers[owner]).any() for row, owner in zip(best, found.owners, strict=True)]
    assert again.text_to_picture["R@1"].mean == pytest.approx(np.mean(within))
    assert again.gains.figures["R@1"].mean == pytest.approx(np.mean(within) - alone.text_to_picture["R@1"].mean)
    removed = again.gains.figures["R@1"].mean / (1 - alone.text_to_picture["R@1"].mean)
    assert again.gains.errors_removed.mean == pytest.approx(removed)
    assert told[-1][0] == told[-1][1] == len(set(found.captions))
