r"""Calibration: a score becomes the probability that a picture answers a query, so that a search can find nothing.

Three ways, each a curve from scores to probabilities, kept as numbers in `calibration.json` of the model's folder:

- platt: sigma(a s + b), fitted on held-out pairs with Platt's targets (https://doi.org/10.7551/mitpress/1113.003.0008);
- isotonic: the best rising steps through held-out pairs, joined by lines (https://doi.org/10.1145/775047.775151);
- nce: nothing is fitted. A model trained with noise-contrastive estimation normalises itself: its score is
  log p(d | q) over the N documents it was trained on, p(d) = 1 / N, and by Bayes' rule

.. math:: P(\text{relevant} | q, d) = P(\text{relevant} | q) \frac{p(d | q)}{p(d)} = \frac{R}{N} N e^s = R e^s

  with R the number of answers that a query has there on average.

A cosine means more to one query than to another: short words lie near everything. So where a model embeds, a curve is
fitted on standard scores, those of a query's hits less the mean of its scores of some reference pictures, divided by
their spread. The references are kept with the curves and are the same whatever is searched, so a collection of nothing
but shoes still answers "a shoe".

Held-out pairs are those that a search would show: each query's ten best, once among all pictures and once without its
answers, so that as many queries have no answer as have one.

Of several labels, each has the probability softmax(s cos). With the s that it learned a model is surer than it is
right, so `LabelScale` is fitted too.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from limner.config import Positive, from_dict, to_dict
from limner.errors import DataError, ModelError, UsageError
from limner.models.checkpoints import write_file

__all__ = [
    "METHODS",
    "Calibration",
    "Curve",
    "LabelScale",
    "Method",
    "Shortlists",
    "calibration_error",
    "fit_curve",
    "fit_label_scale",
    "kept_references",
    "nce_curve",
    "read_calibration",
    "shortlists",
    "standard_scores",
    "write_calibration",
]

Method = Literal["isotonic", "nce", "platt"]
METHODS: tuple[Method, ...] = ("isotonic", "nce", "platt")

_FILE = "calibration.json"
_TOP = 10
_FEWEST = 8
_ENOUGH_FOR_STEPS = 1000
_BINS = 15
_SURE = 0.5
_LEAST_SPREAD = 1e-6
_LEAST_SCALE, _MOST_SCALE = 1e-3, 1e3

PairScores = Float[np.ndarray, " pairs"]
Relevant = Bool[np.ndarray, " pairs"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How scores become probabilities, and how well it held on queries that it was not fitted on.

    platt has `slope` and `intercept`, nce an `intercept`, isotonic the corners `scores` and `probabilities`. `figures`
    are `error`, the expected calibration error; `silent`, how many queries without an answer are given none at a
    relevance of 0.5; and `kept`, how many that found an answer keep one.
    """

    method: Method
    slope: float = 1.0
    intercept: float = 0.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    def relevance(self, scores: PairScores) -> PairScores:
        """Return the probability of each score."""
        scores = scores.astype(np.float64)
        if self.method == "isotonic":
            return np.interp(scores, self.scores, self.probabilities)
        if self.method == "nce":
            return np.exp(np.minimum(scores + self.intercept, 0.0))
        return 1 / (1 + np.exp(-np.clip(self.slope * scores + self.intercept, -500, 500)))


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """The factor from cosines with labels to their logits, and how well it held on concepts it was not fitted on.

    `figures` are `error`, the expected calibration error of the likeliest label, and `learned_error`, that by the
    model's own factor.
    """

    scale: Positive
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The curves of a model's scores of pictures that words or pictures ask for; None where too few are known.

    With `references`, embeddings in base64 of float16, curves are of standard scores. `labels` is for pictures that are
    given one of several labels.
    """

    fingerprint: str
    text: Curve | None = None
    picture: Curve | None = None
    labels: LabelScale | None = None
    references: str = ""

    def reference_vectors(self, dim: int) -> Float[np.ndarray, "references dim"]:
        """Return the embeddings of the reference pictures, none if curves are of scores as they are.

        Raises:
            ModelError: if they are damaged.
        """
        return _vectors(self.references, dim)


@lru_cache(maxsize=8)
def _vectors(references: str, dim: int) -> Float[np.ndarray, "references dim"]:
    """Decode references; every search asks for them, and they change seldom."""
    try:
        numbers = np.frombuffer(base64.b64decode(references, validate=True), dtype="<f2")
        vectors = numbers.reshape(-1, dim).astype(np.float32)
    except ValueError as error:
        raise ModelError(f"the references of {_FILE} are damaged ({error}); run `limner calibrate`") from None
    if not np.isfinite(vectors).all():
        raise ModelError(f"the references of {_FILE} are damaged (no finite numbers); run `limner calibrate`")
    vectors.setflags(write=False)
    return vectors


def kept_references(vectors: Float[np.ndarray, "references dim"]) -> str:
    """Return embeddings as a `Calibration` keeps them."""
    return base64.b64encode(vectors.astype("<f2").tobytes()).decode()


def standard_scores(
    scores: Float[np.ndarray, "queries documents"], of_references: Float[np.ndarray, "queries references"]
) -> Float[np.ndarray, "queries documents"]:
    """Return scores less the mean of each query's scores of the references, divided by their standard deviation.

    References with a score of -inf do not count.
    """
    counted = np.isfinite(of_references)
    number = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    known = np.where(counted, of_references, 0).astype(np.float64)
    middle = known.sum(axis=1, keepdims=True) / number
    spread = np.sqrt(np.square(known - middle).sum(axis=1, keepdims=True, where=counted) / number)
    return (scores - middle) / np.maximum(spread, _LEAST_SPREAD)


class Shortlists(NamedTuple):
    """What searches would show: one row a hit, with the search it belongs to and whether that has an answer at all."""

    scores: PairScores
    relevant: Relevant
    search: Int[np.ndarray, " pairs"]
    answerable: Bool[np.ndarray, " pairs"]
    fold: Int[np.ndarray, " pairs"]


def shortlists(
    scores: Float[np.ndarray, "queries documents"],
    relevance: Bool[np.ndarray, "queries documents"],
    groups: Int[np.ndarray, " queries"],
) -> Shortlists:
    """Return the ten best of each query, among all documents and among those that do not answer it.

    Documents with a score of -inf do not count. Queries of one group fall into one of two folds together.
    """
    parts = []
    for without in (False, True):
        counted = np.where(relevance, -np.inf, scores) if without else scores
        order = np.argsort(-counted, axis=1, kind="stable")[:, :_TOP]
        found = np.take_along_axis(counted, order, axis=1)
        query, place = np.nonzero(np.isfinite(found))
        relevant = np.take_along_axis(relevance, order, axis=1)[query, place]
        search = query + without * len(scores)
        fold = groups[query] % 2
        parts.append((found[query, place], relevant, search, np.full(len(query), not without), fold))
    return Shortlists(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def fit_curve(lists: Shortlists, method: Method | None = None) -> Curve:
    """Return a curve fitted on all lists, with the figures of two curves each fitted on one fold, told by the other.

    Without a method: isotonic from a thousand pairs on, else platt, which few pairs do not mislead.

    Raises:
        DataError: if a fold has fewer than eight relevant or eight other pairs.
    """
    chosen = method or ("isotonic" if len(lists.scores) >= _ENOUGH_FOR_STEPS else "platt")
    if chosen not in _FITS:
        raise UsageError(f"the method {chosen} is not fitted on pairs; use {' or '.join(sorted(_FITS))}")
    told = np.zeros(len(lists.scores))
    for fold in (0, 1):
        here = lists.fold == fold
        relevant = lists.relevant[here]
        if min(relevant.sum(), (~relevant).sum()) < _FEWEST:
            raise DataError(
                f"too few held-out pairs to calibrate on ({relevant.sum()} relevant and {(~relevant).sum()} others in "
                f"half of them, {_FEWEST} of each are needed); hold out more pictures"
            )
        told[~here] = _FITS[chosen](lists.scores[here], relevant).relevance(lists.scores[~here])
    return replace(_FITS[chosen](lists.scores, lists.relevant), figures=_figures(told, lists))


def nce_curve(num_answers: float, lists: Shortlists) -> Curve:
    """Return the curve R e^s of a self-normalised score, with its figures on held-out lists."""
    curve = Curve(method="nce", intercept=float(np.log(num_answers)))
    return replace(curve, figures=_figures(curve.relevance(lists.scores), lists))


def fit_label_scale(
    cosines: Float[np.ndarray, "pictures labels"], groups: Int[np.ndarray, " pictures"], learned: float
) -> LabelScale:
    r"""Return the factor of the greatest likelihood of each picture's own label, the first (1706.04599, section 4.2).

    .. math:: \hat{s} = \arg\max_s \sum_i \log \operatorname{softmax}(s \cos_i)_0

    Pictures of one group fall into one of two folds together; figures are of a factor fitted on the other fold.
    """
    fold = groups % 2
    told = np.array([_likeliest_scale(cosines[fold != each], learned) for each in (0, 1)])[fold]
    right = cosines.argmax(axis=1) == 0
    figures = {
        "error": _error_of_labels(told[:, None] * cosines, right),
        "learned_error": _error_of_labels(learned * cosines, right),
    }
    return LabelScale(scale=_likeliest_scale(cosines, learned), figures=figures)


def calibration_error(probabilities: PairScores, relevant: Relevant) -> float:
    r"""Return the expected calibration error over 15 bins of equal width (https://arxiv.org/abs/1706.04599, eq. 3).

    .. math:: \sum_b \frac{n_b}{n} \left| \overline{y}_b - \overline{p}_b \right|
    """
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, relevant, _BINS) - np.bincount(bins, probabilities, _BINS)
    return float(np.abs(gaps).sum() / max(len(bins), 1))


def read_calibration(folder: Path, fingerprint: str) -> Calibration | None:
    """Return the calibration in a model's folder; None if there is none, or it belongs to other weights.

    Raises:
        ModelError: if it is damaged.
    """
    path = folder / _FILE
    try:
        status = path.stat()
    except OSError:
        return None
    calibration = _read(path, status.st_mtime_ns, status.st_ino)
    return calibration if calibration.fingerprint == fingerprint else None


@lru_cache(maxsize=8)
def _read(path: Path, modified: int, inode: int) -> Calibration:
    """Read the file; searches ask for it each time, and it changes seldom."""
    try:
        return from_dict(Calibration, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({error}); make it again with `limner calibrate`") from None


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Put a calibration into a model's folder, at once."""
    write_file(folder / _FILE, json.dumps(to_dict(calibration), indent=2) + "\n")


def _likeliest_scale(cosines: Float[np.ndarray, "pictures labels"], learned: float) -> float:
    """Return the factor of the greatest likelihood of the first label; the learned one where no picture tells."""
    if not len(cosines):
        return learned

    def loss(logarithm: float) -> float:
        return float(-log_softmax(np.exp(logarithm) * cosines, axis=1)[:, 0].mean())

    bounds = float(np.log(_LEAST_SCALE)), float(np.log(_MOST_SCALE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def _error_of_labels(logits: Float[np.ndarray, "pictures labels"], right: Bool[np.ndarray, " pictures"]) -> float:
    return calibration_error(softmax(logits, axis=1).max(axis=1), right)


def _platt(scores: PairScores, relevant: Relevant) -> Curve:
    """Maximise the likelihood of targets a little inside 0 and 1, each pair counted for both with its share.

    A score that falls as relevance rises tells nothing: the curve is then flat.
    """
    num_relevant, num_others = relevant.sum(), (~relevant).sum()
    targets = np.where(relevant, (num_relevant + 1) / (num_relevant + 2), 1 / (num_others + 2))
    middle, spread = scores.mean(), scores.std() or 1.0
    inputs = np.tile((scores - middle) / spread, 2)[:, None]
    labels = np.repeat([1, 0], len(scores))
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(inputs, labels, np.concatenate([targets, 1 - targets]))
    slope = float(fitted.coef_[0, 0] / spread)
    if slope <= 0:
        share = targets.mean()
        return Curve(method="platt", slope=0.0, intercept=float(np.log(share / (1 - share))))
    return Curve(method="platt", slope=slope, intercept=float(fitted.intercept_[0] - slope * middle))


def _isotonic(scores: PairScores, relevant: Relevant) -> Curve:
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, relevant)
    return Curve(
        method="isotonic",
        scores=tuple(fitted.X_thresholds_.tolist()),
        probabilities=tuple(fitted.y_thresholds_.tolist()),
    )


_FITS: dict[Method, Callable[[PairScores, Relevant], Curve]] = {"isotonic": _isotonic, "platt": _platt}


def _figures(told: PairScores, lists: Shortlists) -> dict[str, float]:
    sure = told >= _SURE
    asked_in_vain = np.unique(lists.search[~lists.answerable])
    answered = np.unique(lists.search[lists.relevant])
    return {
        "error": calibration_error(told, lists.relevant),
        "silent": _share(~np.isin(asked_in_vain, lists.search[sure])),
        "kept": _share(np.isin(answered, lists.search[sure & lists.relevant])),
    }


def _share(true: Bool[np.ndarray, " searches"]) -> float:
    return float(true.mean()) if len(true) else 0.0
