"""How often does `limner search --min-relevance` rightly say that nothing matches, and at which loss of true hits?

    limner data get pictograms pictograms && limner data get openclipart openclipart
    python benchmarks/nothing_matches.py --pictograms pictograms --openclipart openclipart

The collection is a whole set, or its pictures of concepts that training never saw. Each such concept (protocols V-U
and U, V-C and C) asks by its English name and by one of its pictures: once as the collection is, once with all its
pictures taken out, so that nothing matches. The concepts are split into halves; curves are fitted on one and told on
the other, both ways round. `as shipped` are the curves in the model's folder, fitted on the validation concepts of both
sets, told on the test concepts alone.

Embeddings are kept in benchmarks/work/nothing_matches; without them it takes about three minutes of one processor.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from limner.data.builtin.protocols import COLUMNS, PROTOCOLS
from limner.data.picture_set import PictureSet
from limner.data.splitting import hash_share
from limner.evaluation.examples import Examples, embed_pictures, gather_examples, normal_form
from limner.evaluation.intervals import estimate_mean
from limner.models.checkpoints import resolve
from limner.search.calibrate import (
    Curve,
    Method,
    Shortlists,
    calibration_error,
    fit_curve,
    read_calibration,
    shortlists,
    standard_scores,
)
from limner.search.embedder import Embedder, load_embedder
from record import markdown_table, write_result

_WORK = Path(__file__).parent / "work" / "nothing_matches"
_SETS = {"pictograms": ("V-U", "U"), "openclipart": ("V-C", "C")}
_ASKS = ("words", "picture")
_FITTED: tuple[Method, ...] = ("isotonic", "platt")
_NUM_REFERENCES = 128
_MINIMA = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A set that is searched: its pictures in English, their vectors, and the row of each concept that asks."""

    examples: Examples
    vectors: np.ndarray
    validation: list[int]
    test: list[int]


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Searches of one kind: cosines with the collection, -inf with the query itself, and what answers."""

    vectors: np.ndarray
    cosines: np.ndarray
    relevance: np.ndarray
    half: np.ndarray
    is_test: np.ndarray
    collection: np.ndarray

    def lists(self, chosen: np.ndarray, references: np.ndarray) -> Shortlists:
        """Return what the chosen queries find with and without their concept, in standard scores."""
        scores = standard_scores(self.cosines[chosen], self.vectors[chosen] @ references.T)
        return shortlists(scores, self.relevance[chosen], np.flatnonzero(chosen))

    def references(self, half: int) -> np.ndarray:
        """Return vectors of pictures of the concepts of a half, spread over it."""
        shown = np.flatnonzero(self.relevance[self.half == half].any(axis=0))
        return self.collection[np.random.default_rng(0).permutation(shown)[:_NUM_REFERENCES]]


class Told(NamedTuple):
    """Hits and what curves say of them that were fitted on others; searches are numbered through."""

    relevance: np.ndarray
    relevant: np.ndarray
    search: np.ndarray
    answerable: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pictograms")
    for name in _SETS:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--name", default="nothing_matches", help="the name of the result page")
    options = parser.parse_args()
    embedder = load_embedder(options.model)
    figures, trades = [], []
    for name in _SETS:
        whole = embedded(name, getattr(options, name), embedder)
        for title, collection in ((name, whole), (f"{name}, unseen", unseen(whole))):
            for asked in _ASKS:
                searched = [f"{title} ({len(collection.vectors):,})", asked]
                for curve, told in told_by_each(ask(collection, asked, embedder), asked, embedder):
                    figures.append([*searched, curve, *row_of(told)])
                    print(*figures[-1], sep=" | ", flush=True)
                    if curve == "isotonic":
                        trades.append([*searched, *(trade(told, minimum) for minimum in _MINIMA)])
    write_result(options.name, __doc__.splitlines()[0], page(figures, trades))


def embedded(name: str, path: Path, embedder: Embedder) -> Collection:
    """Embed a whole set, or read what an earlier run kept of it."""
    pictures = PictureSet.open(path)
    examples = gather_examples(pictures, rows=range(len(pictures)), language="en")
    kept = _WORK / f"{name}-{len(pictures)}-{embedder.fingerprint[:12]}.npz"
    if kept.is_file():
        stored = np.load(kept)
        known = set(stored["ids"].tolist())
        found = examples.only([place for place, id in enumerate(examples.ids) if id in known])
        vectors = stored["vectors"]
    else:
        found, vectors = embed_pictures(embedder, pictures, examples)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, ids=np.array(found.ids), vectors=vectors)
    table = pictures.rows(COLUMNS)
    places = {row: place for place, row in enumerate(found.rows)}
    validation, test = (
        [places[row] for row in PROTOCOLS[protocol].rows(table) if row in places] for protocol in _SETS[name]
    )
    return Collection(examples=found, vectors=vectors, validation=validation, test=test)


def unseen(whole: Collection) -> Collection:
    """Return the pictures of the concepts that ask."""
    asking = {whole.examples.concepts[place] for place in (*whole.validation, *whole.test)}
    kept = [place for place, concept in enumerate(whole.examples.concepts) if concept in asking]
    places = {old: new for new, old in enumerate(kept)}
    return Collection(
        examples=whole.examples.only(kept),
        vectors=whole.vectors[kept],
        validation=[places[place] for place in whole.validation],
        test=[places[place] for place in whole.test],
    )


def ask(collection: Collection, asked: str, embedder: Embedder) -> Queries:
    """Search for each unseen concept that has a name and, if a picture asks, another picture."""
    names: dict[int, str] = {}
    for owner, text in zip(collection.examples.owners, collection.examples.captions, strict=True):
        names.setdefault(owner, text)
    asking = np.array([place for place in (*collection.validation, *collection.test) if place in names])
    concepts = np.array(collection.examples.concepts)
    relevance = concepts[asking][:, None] == concepts[None, :]
    said = np.array([normal_form(names.get(place, "")) for place in range(len(concepts))])
    relevance |= said[asking][:, None] == said[None, :]
    if asked == "picture":
        relevance[np.arange(len(asking)), asking] = False
        vectors = collection.vectors[asking]
    else:
        vectors = embedder.embed_texts([names[place] for place in asking])
    cosines = vectors @ collection.vectors.T
    if asked == "picture":
        cosines[np.arange(len(asking)), asking] = -np.inf
    some = relevance.any(axis=1)
    return Queries(
        vectors=vectors[some],
        cosines=cosines[some],
        relevance=relevance[some],
        half=np.array([int(hash_share(f"half of {concept}") < 0.5) for concept in concepts[asking][some]]),
        is_test=np.isin(asking, collection.test)[some],
        collection=collection.vectors,
    )


def told_by_each(queries: Queries, asked: str, embedder: Embedder) -> Iterator[tuple[str, Told]]:
    """Yield each kind of curve and what it says of the concepts that it was not fitted on."""
    for method in _FITTED:
        parts = []
        for half in (0, 1):
            references = queries.references(half)
            curve = fit_curve(queries.lists(queries.half == half, references), method)
            parts.append(tell(curve, queries.lists(queries.half != half, references)))
        yield method, joined(parts)
    shipped = read_calibration(resolve(embedder.name), embedder.fingerprint)
    curve = shipped and (shipped.text if asked == "words" else shipped.picture)
    if shipped and curve:
        references = shipped.reference_vectors(embedder.embed_dim)
        yield "as shipped", tell(curve, queries.lists(queries.is_test, references))


def tell(curve: Curve, lists: Shortlists) -> Told:
    return Told(curve.relevance(lists.scores), lists.relevant, lists.search, lists.answerable)


def joined(parts: list[Told]) -> Told:
    """Put the halves together, with searches that do not share a number."""
    first, second = parts
    second = second._replace(search=second.search + first.search.max() + 1)
    return Told(*(np.concatenate(columns) for columns in zip(first, second, strict=True)))


def row_of(told: Told) -> list[str]:
    """Return how many concepts asked, the figures at a relevance of 0.5, and the calibration error."""
    answered = told.search[told.relevant]
    num_concepts = len(np.unique(told.search[~told.answerable]))
    error = calibration_error(told.relevance, told.relevant)
    silent, kept, right = (percent(values) for values in at_minimum(told, 0.5))
    return [str(num_concepts), silent, str(len(np.unique(answered))), kept, right, f"{error:.3f}"]


def at_minimum(told: Told, minimum: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which searches in vain are silent, which that found an answer keep one, and which hits shown are right."""
    shown = told.relevance >= minimum
    in_vain, found = np.unique(told.search[~told.answerable]), np.unique(told.search[told.relevant])
    return (
        ~np.isin(in_vain, told.search[shown]),
        np.isin(found, told.search[shown & told.relevant]),
        told.relevant[shown],
    )


def trade(told: Told, minimum: float) -> str:
    silent, kept, _ = at_minimum(told, minimum)
    return f"{silent.mean():.0%} / {kept.mean():.0%}"


def percent(values: np.ndarray) -> str:
    if not len(values):
        return "none"
    found = estimate_mean(values.astype(float))
    return f"{100 * found.mean:.0f} ({100 * found.low:.0f}-{100 * found.high:.0f})"


def page(figures: list[list[str]], trades: list[list[str]]) -> str:
    head = ["collection (pictures)", "asked by", "curve", "concepts", "silent", "found", "kept", "right", "error"]
    parts = [
        "At `--min-relevance 0.5`, per cent with 95 % intervals. *silent*: of the concepts whose pictures were taken "
        "out, those that are rightly given no hit. *found*: how many concepts have a right picture among their ten "
        "best while theirs are there; *kept*: of these, those that keep one. *right*: of all hits shown in both "
        "searches, those that answer. *error*: expected calibration error of the ten best of both searches.",
        markdown_table(head, figures),
        "What another minimum trades, silent / kept, with the isotonic curves:",
        markdown_table(["collection", "asked by", *(f"{minimum:g}" for minimum in _MINIMA)], trades),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
