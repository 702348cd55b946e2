"""Zero-shot classification: a picture gets the label whose words lie nearest (CLIP, 2103.00020, section 3.1)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from limner.errors import ModelError, UsageError
from limner.models.checkpoints import resolve
from limner.search.calibrate import read_calibration
from limner.search.embedder import Embedder, Vectors

__all__ = ["TEMPLATES", "check_labels", "check_templates", "label_probabilities", "label_scale", "label_vectors"]

TEMPLATES = (
    "{}",
    "a picture of {}",
    "a drawing of {}",
    "an icon of {}",
    "{}, clip art",
)


def label_vectors(embedder: Embedder, labels: Sequence[str], templates: Sequence[str] | None = None) -> Vectors:
    """Return one unit vector a label: the mean over its prompts, each of unit length, made unit length (3.1.4).

    Without templates, a label in the Latin alphabet is put into each of `TEMPLATES`, and any other stands alone.

    Raises:
        UsageError: for labels or templates that cannot be used.
    """
    check_labels(labels)
    if templates is not None:
        check_templates(templates)
    prompts = [[template.replace("{}", label) for template in templates or _templates_for(label)] for label in labels]
    embedded = embedder.embed_texts([prompt for group in prompts for prompt in group])
    ends = np.cumsum([len(group) for group in prompts])
    means = np.stack([part.mean(axis=0) for part in np.split(embedded, ends[:-1])])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def label_probabilities(
    pictures: Float[np.ndarray, "pictures embed_dim"], labels: Float[np.ndarray, "labels embed_dim"], scale: float
) -> Float[np.ndarray, "pictures labels"]:
    """Return softmax(scale * cosine) over the labels, one row a picture."""
    return softmax(scale * (pictures.astype(np.float64) @ labels.T.astype(np.float64)), axis=1)


def label_scale(embedder: Embedder) -> float:
    """Return the factor from cosines to logits with which a model is as sure of labels as it is right.

    It is the learned one if the model is not calibrated for labels, or its calibration is damaged.
    """
    try:
        calibration = read_calibration(resolve(embedder.name), embedder.fingerprint)
    except ModelError:
        return embedder.scale
    return embedder.scale if calibration is None or calibration.labels is None else calibration.labels.scale


def check_labels(labels: Sequence[str]) -> None:
    """Check that there are labels, none blank and none twice.

    Raises:
        UsageError: otherwise.
    """
    if not labels or not all(label.strip() for label in labels):
        raise UsageError("give labels that are not blank, as in --labels cat,dog,boat")
    seen: set[str] = set()
    for label in labels:
        if label.casefold() in seen:
            raise UsageError(f"the label '{label}' is given twice; give each label once")
        seen.add(label.casefold())


def check_templates(templates: Sequence[str]) -> None:
    """Check that there are templates and that each has a place for the label.

    Raises:
        UsageError: otherwise.
    """
    if not templates:
        raise UsageError("the file of prompts is empty; write one a line, as in: a drawing of a {}")
    for template in templates:
        if "{}" not in template:
            raise UsageError(f"the prompt '{template}' has no {{}} where the label goes; write: a drawing of a {{}}")


def _templates_for(label: str) -> Sequence[str]:
    return TEMPLATES if label.isascii() else ("{}",)
