"""Teach a model how likely its scores are to be right, on pictures that it was not trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from limner.data.picture_set import PictureSet
from limner.data.progress import Say
from limner.data.ranking import SideKind
from limner.errors import DataError, ModelError
from limner.models.checkpoints import resolve
from limner.models.clip import CLIP
from limner.search.calibrate import (
    METHODS,
    Calibration,
    Curve,
    LabelScale,
    Method,
    fit_curve,
    fit_label_scale,
    kept_references,
    nce_curve,
    shortlists,
    standard_scores,
    write_calibration,
)
from limner.search.embedder import Embedder, Vectors
from limner.search.reranker import Reranker, load_reranker
from limner.search.zero_shot import label_vectors
from limner.services.validation import HeldOut, open_sets

__all__ = ["METHODS", "Calibration", "calibrate", "calibrate_model", "describe"]

_MOST_REFERENCES = 128
_FEWEST_REFERENCES = 32
_NUM_LABELS = 10


def calibrate_model(model: str | Path, data: Sequence[Path], *, method: Method | None = None, say: Say) -> Calibration:
    """Calibrate a model on the held-out pictures of sets, and keep the curves in its folder.

    Raises:
        DataError: if too little is held out.
        ModelError: if there is no such model, or its folder cannot be written.
    """
    scorer = load_reranker(model)
    sets, rows, held_out_rows = open_sets(data)
    held_out = HeldOut(sets, held_out_rows, say=say)
    num_answers = answers_a_query(sets, rows)
    found = calibrate(scorer, held_out, method=method, num_answers=num_answers)
    if found.text is None and found.picture is None:
        raise DataError(f"too few held-out pictures ({len(held_out)}) to calibrate on; give a larger set")
    try:
        write_calibration(resolve(model), found)
    except OSError as error:
        raise ModelError(f"{resolve(model)} cannot be written ({error.strerror}); calibrate a copy of it") from None
    return found


def calibrate(
    scorer: Reranker,
    held_out: HeldOut,
    *,
    method: Method | None = None,
    num_answers: float = 1.0,
    asks: Sequence[SideKind] = ("text", "picture"),
) -> Calibration:
    """Return the curves of a model for what `asks` for pictures, words or pictures, where enough are held out.

    The first held-out pictures are the references of a model that embeds, unless its scores are self-normalised.
    """
    count = min(len(held_out), _MOST_REFERENCES)
    is_standard = isinstance(scorer.model, CLIP) and method != "nce" and count >= _FEWEST_REFERENCES
    curves: dict[str, Curve | None] = {"text": None, "picture": None}
    for kind in asks:
        if kind == "text" and not scorer.model.reads_texts:
            continue
        judged = held_out.pairs(scorer, query=kind, document="picture")
        if judged is None:
            continue
        scores = standard_scores(judged.scores, judged.scores[:, :count]) if is_standard else judged.scores
        lists = shortlists(scores, judged.relevance, judged.concepts)
        try:
            curves[kind] = nce_curve(num_answers, lists) if method == "nce" else fit_curve(lists, method)
        except DataError:
            continue
    references, labels = "", None
    if isinstance(scorer.model, CLIP) and count >= _FEWEST_REFERENCES:
        pictures = held_out.embeddings(scorer)
        references = kept_references(pictures[:count]) if is_standard else ""
        if "text" in asks:
            labels = _label_scale(Embedder(scorer.model, scorer.tokenizer, name=scorer.name), held_out, pictures)
    return Calibration(fingerprint=scorer.fingerprint, references=references, labels=labels, **curves)


def _label_scale(embedder: Embedder, held_out: HeldOut, pictures: Vectors) -> LabelScale | None:
    """Return how sure a CLIP may be of a label; None where too little is held out.

    Each held-out picture is given its own caption and nine that it does not answer, drawn at random.
    """
    captions = [caption.strip().casefold() for caption in held_out.captions]
    labels = {caption: place for place, caption in enumerate(dict.fromkeys(filter(None, captions)))}
    if len(labels) < _NUM_LABELS:
        return None
    words = label_vectors(embedder, list(labels))
    answers, generator = held_out.relevance(), np.random.default_rng(0)
    owners, cosines = [], []
    for picture, caption in enumerate(captions):
        others = {captions[other]: None for other in generator.permutation(np.flatnonzero(~answers[:, picture]))}
        chosen = [labels[other] for other in [caption, *others] if other in labels][:_NUM_LABELS]
        if caption and len(chosen) == _NUM_LABELS:
            owners.append(picture)
            cosines.append(words[chosen] @ pictures[picture])
    if len(owners) < _FEWEST_REFERENCES:
        return None
    concepts = np.unique(held_out.concepts, return_inverse=True)[1]
    return fit_label_scale(np.array(cosines, dtype=np.float64), concepts[owners], embedder.scale)


def answers_a_query(sets: Sequence[PictureSet], rows: Sequence[np.ndarray]) -> float:
    """Return how many pictures show the concept of a picture, the mean over the pictures that a model learns from."""
    concepts: list[str] = []
    for pictures, chosen in zip(sets, rows, strict=True):
        table = pictures.rows(["id", "concept"]).take(chosen)
        concepts += [
            concept or id for id, concept in zip(*(table[name].to_pylist() for name in ("id", "concept")), strict=True)
        ]
    _, counts = np.unique(concepts, return_counts=True)
    return float((counts**2).sum() / max(counts.sum(), 1))


def describe(calibration: Calibration) -> list[str]:
    """Say in a sentence for each kind of query how well the calibration holds."""
    said = []
    for kind, curve in (("words", calibration.text), ("pictures", calibration.picture)):
        if curve is None:
            said.append(f"{kind}: too few are held out")
        else:
            figures = curve.figures
            said.append(
                f"{kind}: {curve.method}, expected calibration error {figures['error']:.3f}; at a relevance of 0.5, "
                f"{figures['silent']:.0%} of the queries without an answer are given none, and "
                f"{figures['kept']:.0%} of those that found an answer keep it"
            )
    if calibration.labels is not None:
        figures = calibration.labels.figures
        said.append(
            f"labels: expected calibration error {figures['error']:.3f}, "
            f"{figures['learned_error']:.3f} by the scale that was learned"
        )
    return said
