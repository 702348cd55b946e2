"""Tensor names, special tokens and batches, and the glossary that every name in Limner follows.

Glossary:
    tokens: ids of pieces of text, padded with `PADDING_TOKEN`.
    features: what a tower says of one picture or text, before it is projected.
    embedding: a unit vector in the space that pictures and texts share.
    scores: queries x items, higher is better.
    relevance: queries x items, whether an item answers a query.
    grades: queries x items, how much an item answers a query; a mask of relevance is one of zeros and ones.
    mask: queries x items, false where a list is padded or an item must not count.
    distances: queries x items, lower is nearer.
    parts: what a relevance model keeps of a picture or text: a vector for each token, patch or place of a grid.
    query, document: what is asked with and what is asked for, each a picture or a text.
    concept: what a picture shows; pictures of one concept are never each other's negatives.
    codes: ids of the vectors that stand for the places of a picture's grid, rows x columns.
    step: one update of the weights.
"""

from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

__all__ = [
    "ALONE",
    "END_TOKEN",
    "PADDING_TOKEN",
    "START_TOKEN",
    "CaptionedBatch",
    "Codes",
    "CodesBatch",
    "Distances",
    "Embeddings",
    "Features",
    "Grades",
    "Images",
    "ItemMask",
    "PaddingMask",
    "PictureBatch",
    "Rank",
    "RankingBatch",
    "Relevance",
    "Scalar",
    "Scores",
    "Side",
    "Tokens",
]

PADDING_TOKEN = 0
START_TOKEN = 1
END_TOKEN = 2

Images: TypeAlias = Float[Tensor, "batch 3 height width"]
Codes: TypeAlias = Int[Tensor, "batch rows columns"]
Tokens: TypeAlias = Int[Tensor, "batch length"]
PaddingMask: TypeAlias = Bool[Tensor, "batch length"]
Features: TypeAlias = Float[Tensor, "batch feature_dim"]
Embeddings: TypeAlias = Float[Tensor, "batch embed_dim"]
Scores: TypeAlias = Float[Tensor, "queries items"]
Relevance: TypeAlias = Bool[Tensor, "queries items"]
Grades: TypeAlias = Shaped[Tensor, "queries items"]
ItemMask: TypeAlias = Bool[Tensor, "queries items"]
Distances: TypeAlias = Float[Tensor, "queries items"]
Scalar: TypeAlias = Float[Tensor, ""]


@dataclass(frozen=True)
class Rank:
    """Which of how many processes this is, that share every batch."""

    number: int = 0
    count: int = 1

    def part(self, size: int) -> slice:
        """Return which of the `size` places of a batch are this process's."""
        own = size // self.count
        return slice(self.number * own, (self.number + 1) * own)


ALONE = Rank()


@dataclass(frozen=True, kw_only=True)
class CaptionedBatch:
    """Pictures with one text each: images in [0, 1], tokens, the number of each picture's concept and text.

    Two rows with the same concept, or with the same text, are positives of each other. Where a teacher of words takes
    part, `teacher` is its vector of what each text means, and `lessons` its vectors of further texts.
    """

    images: Float[Tensor, "batch 3 height width"]
    tokens: Int[Tensor, "batch length"]
    concepts: Int[Tensor, " batch"]
    texts: Int[Tensor, " batch"]
    teacher: Float[Tensor, "batch teacher_dim"] | None = None
    lessons: Float[Tensor, "lessons teacher_dim"] | None = None


@dataclass(frozen=True, kw_only=True)
class CodesBatch:
    """Texts and their pictures as codes, row by row; `embeddings` are a CLIP's of the pictures, where it says texts."""

    tokens: Int[Tensor, "batch length"]
    codes: Int[Tensor, "batch places"]
    embeddings: Float[Tensor, "batch embed_dim"] | None = None


@dataclass(frozen=True, kw_only=True)
class PictureBatch:
    """Pictures alone: images in [0, 1]."""

    images: Float[Tensor, "batch 3 height width"]


@dataclass(frozen=True, kw_only=True)
class LessonBatch:
    """Texts without pictures, and a teacher's vector of what each means."""

    tokens: Int[Tensor, "batch length"]
    teacher: Float[Tensor, "batch teacher_dim"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """The queries or the documents of a batch: pictures or texts, and the numbers of their concepts and texts."""

    concepts: Int[Tensor, " batch"]
    texts: Int[Tensor, " batch"]
    images: Float[Tensor, "batch 3 height width"] | None = None
    tokens: Int[Tensor, "batch length"] | None = None


@dataclass(frozen=True, kw_only=True)
class RankingBatch:
    """Document i answers query i; the documents after those are hard negatives, `num_mined` of each query in turn.

    Query and document are relevant to each other if their concept or their text is the same. `num_items` is how many
    documents the whole collection has.
    """

    queries: Side
    documents: Side
    num_mined: int
    num_items: int
