"""What all relevance models share: a query and a document, each a picture or a text, become a score."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from limner.nn.parts import Parts, every_pair
from limner.types import Distances, Images, Scores, Tokens

__all__ = ["RelevanceModel", "reads_texts"]


class RelevanceModel(nn.Module, ABC):
    """Each side becomes parts by itself, which can be kept; a pair of parts becomes a score.

    Its config has the sizes of both trunks as `vision` and, if it reads texts, `text`; the modules of these names are
    as in CLIP, so that a trained CLIP can be started from.
    """

    config: Any
    reads_pairs: ClassVar[bool]
    """Whether each pair costs a pass through layers, rather than a product of what is kept."""
    reads_texts: ClassVar[bool] = True
    """Whether words can ask or be asked for; otherwise its folder has no tokenizer."""

    @abstractmethod
    def picture_parts(self, images: Images) -> Parts:
        """Return what is kept of RGB pictures in [0, 1]; equally many parts of each."""

    @abstractmethod
    def text_parts(self, tokens: Tokens) -> Parts:
        """Return what is kept of token ids."""

    @abstractmethod
    def pair_scores(self, queries: Parts, documents: Parts) -> Float[Tensor, " pairs"]:
        """Return the score of document i for query i."""

    def all_scores(self, queries: Parts, documents: Parts) -> Scores:
        """Return the score of every document for every query; each pair is read, where there is no shorter way."""
        return self.pair_scores(*every_pair(queries, documents)).view(len(queries), len(documents))

    def distances(self, scores: Scores) -> Distances:
        """Return scores as bounded distances, in which margins and smooth ranks are measured.

        Where a score is the log-odds that a pair belongs together, that is the probability of no, sigma(-s).
        """
        return (-scores).sigmoid()


def reads_texts(model: nn.Module) -> bool:
    """Return whether a model reads words; of relevance models, those that compare pictures alone do not."""
    return not isinstance(model, RelevanceModel) or model.reads_texts
