"""How likely hits are to be right, and which are likely enough, by the calibration of the model that scored them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from limner.errors import ModelError, UsageError
from limner.models.checkpoints import resolve
from limner.nn.parts import Parts, whole
from limner.search.calibrate import Calibration, Curve, read_calibration, standard_scores
from limner.search.embedder import Embedder
from limner.search.query import Query
from limner.search.reranker import Reranker
from limner.search.retrieve import Hit

__all__ = ["judge_hits"]

Vector = Float[np.ndarray, " values"]


def judge_hits(
    hits: Sequence[Hit],
    query: Query,
    asked: Vector | Parts,
    judge: Embedder | Reranker,
    min_relevance: float | None,
) -> list[Hit]:
    """Return hits with their relevance, and of them those of at least `min_relevance`.

    `judge` gave their scores; `asked` is the embedding of the query, or the parts that a re-ranker made of it.

    Without a `min_relevance`, hits of a model that is not calibrated, or of a mixture, stay as they are.

    Raises:
        UsageError: for a `min_relevance` outside [0, 1], or of a mixture of words and pictures.
        ModelError: if a `min_relevance` is given and the model is not calibrated for such queries, or its calibration
            is damaged.
    """
    if min_relevance is not None and not 0 <= min_relevance <= 1:
        raise UsageError(f"a relevance is a probability between 0 and 1, got {min_relevance:g}")
    calibration, curve = _curve(query, judge, is_needed=min_relevance is not None)
    if calibration is None or curve is None:
        return list(hits)
    scores = np.array([hit.score for hit in hits], dtype=np.float64)
    if calibration.references:
        scores = standard_scores(scores[None], _of_references(calibration, asked, judge)[None])[0]
    elif isinstance(judge, Embedder):
        scores = judge.scores_of_cosines(scores)
    told = curve.relevance(scores)
    judged = [replace(hit, relevance=round(float(each), 4)) for hit, each in zip(hits, told, strict=True)]
    return judged if min_relevance is None else [hit for hit in judged if (hit.relevance or 0.0) >= min_relevance]


def _of_references(calibration: Calibration, asked: Vector | Parts, judge: Embedder | Reranker) -> Vector:
    """Return the scores of the reference pictures, of the same kind as those of the hits."""
    if isinstance(asked, Parts):
        assert isinstance(judge, Reranker)
        references = torch.from_numpy(calibration.reference_vectors(asked.vectors.shape[-1]).copy())
        return judge.scores(asked, whole(references[:, None]))[0]
    return calibration.reference_vectors(len(asked)) @ asked


def _curve(
    query: Query, judge: Embedder | Reranker, *, is_needed: bool
) -> tuple[Calibration, Curve] | tuple[None, None]:
    if len(query.terms) != 1 or query.terms[0].weight <= 0:
        if is_needed:
            raise UsageError("a mixture has no relevance; ask with one text or one picture, or leave out the minimum")
        return None, None
    try:
        calibration = read_calibration(resolve(judge.name), judge.fingerprint)
    except ModelError:
        if is_needed:
            raise
        return None, None
    kind = "words" if query.terms[0].picture is None else "pictures"
    curve = None
    if calibration is not None:
        curve = calibration.text if kind == "words" else calibration.picture
    if curve is None and is_needed:
        raise ModelError(
            f"{judge.name} is not calibrated for {kind}; run `limner calibrate {judge.name} --data SET` "
            "on a set with held-out pictures"
        )
    return (calibration, curve) if calibration is not None and curve is not None else (None, None)
