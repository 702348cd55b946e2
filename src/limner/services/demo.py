"""The demo: a folder of real pictures, searched by words in two languages, by picture and by mixtures of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.data.builtin import build
from limner.data.decoding import decode_picture, read_picture
from limner.data.picture_set import PictureSet, Record
from limner.data.progress import Report, Say
from limner.errors import CollectionError, UsageError
from limner.evaluation.report import Section, ShownPicture, report_page
from limner.models.checkpoints import write_file
from limner.search.collection import Collection
from limner.search.query import Query, parse_query
from limner.search.retrieve import Hit
from limner.services.classifying import classify_pictures
from limner.services.indexing import Progress, index_pictures

__all__ = ["Answer", "Demo", "Guess", "run_demo"]

GALLERY_FAMILIES = ("noto", "twemoji")
ASKING_FAMILY = "fluent-emoji-flat"

_MADE = frozenset({"set", "pictures", "asking", "collection", "report"})
_NUM_DRAWINGS = 2400
_TOP = 8
_LANGUAGES = {"en": "", "ru": ".ru"}
_WORDS = ("a penguin", "a crying face", "musical instrument", "sailing boat", "a panda")
_RUSSIAN_WORDS = ("поезд", "кошка", "красное яблоко", "снеговик")
_LION, _APPLE, _TRAIN = "1F981", "1F34E", "1F686"
_LABELS = ("animal", "food", "vehicle", "building", "face", "plant", "clothes")
_CLASSIFIED = (_LION, _TRAIN, _APPLE, "1F427", "1F3F0", "1F622", "1F33B", "1F457")
_LEAD = (
    "{num_pictures:,} drawings from {families}, found with the weights that come with Limner. {num_unseen:,} of them "
    "show something that the model never saw while it learned; they are marked ✦, and it finds them less often: a "
    "panda and a snowman are two. A score is the cosine of query and picture."
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A query with its hits; `asked` is the picture file of a query by picture."""

    kind: str
    query: str
    hits: tuple[Hit, ...]
    asked: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A picture file with the label that it was given, and how sure that was."""

    path: Path
    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo did, and where its page is."""

    page: Path
    num_pictures: int
    answers: tuple[Answer, ...]
    guesses: tuple[Guess, ...]


def run_demo(out: Path, *, model: str = "pictograms", report: Report, say: Say) -> Demo:
    """Build a small real set, index its pictures, ask it, and write `report.html`; a second run reuses what is there.

    Raises:
        UsageError: if `out` holds something else than a demo.
        ModelError: if the weights did not come with the package.
    """
    if out.exists() and any(entry.name.lstrip(".").split(".")[0] not in _MADE for entry in out.iterdir()):
        raise UsageError(f"{out} holds other files than a demo's; choose another folder with --out")
    pictures = _build(out / "set", report, say)
    gallery, asking = out / "pictures", out / "asking"
    say(f"writing pictures and captions as files into {gallery}")
    unseen = _export(pictures, gallery, GALLERY_FAMILIES)
    _export(pictures, asking, (ASKING_FAMILY,))
    say("indexing the folder with the shipped weights")
    _index(gallery, out / "collection", model, report)
    collection = Collection.open(out / "collection")
    answers = tuple(_answers(collection, asking))
    guesses = tuple(_classify(asking, model))
    page = out / "report.html"
    write_file(page, _page(collection, answers, guesses, unseen))
    return Demo(page=page, num_pictures=len(collection), answers=answers, guesses=guesses)


def _build(path: Path, report: Report, say: Say) -> PictureSet:
    say("fetching drawings and their names, and turning them into pictures")
    build("pictograms", path, families=(*GALLERY_FAMILIES, ASKING_FAMILY), limit=_NUM_DRAWINGS, report=report)
    return PictureSet.open(path)


def _index(gallery: Path, to: Path, model: str, report: Report) -> None:
    def show(step: Progress) -> None:
        report(step.saved, step.total, "")

    try:
        index_pictures([gallery], to, model=model, progress=show)
    except CollectionError:  # an earlier demo's, made with other weights
        index_pictures([gallery], to, model=model, anew=True, progress=show)


def _export(pictures: PictureSet, folder: Path, families: Sequence[str]) -> set[str]:
    """Write pictures with their captions beside them; return the paths of those that training did not use."""
    folder.mkdir(parents=True, exist_ok=True)
    unseen: set[str] = set()
    for record in pictures.records():
        if record.source not in families:
            continue
        path = _place(folder, record)
        if record.split == "test":
            unseen.add(str(path.resolve()))
        if not path.exists():
            for language, suffix in _LANGUAGES.items():
                texts = [caption.text for caption in record.captions if caption.language == language]
                if texts:
                    path.with_suffix(f"{suffix}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
            decode_picture(record.picture).save(path)
    return unseen


def _place(folder: Path, record: Record) -> Path:
    return folder / f"{record.concept}-{record.source}.png"


def _answers(collection: Collection, asking: Path) -> Iterable[Answer]:
    def ask(kind: str, query: Query, shown: str, asked: Path | None = None) -> Answer:
        return Answer(kind=kind, query=shown, hits=tuple(collection.search(query, _TOP)), asked=asked)

    def drawing(concept: str) -> Path:
        return asking / f"{concept}-{ASKING_FAMILY}.png"

    for words in _WORDS:
        yield ask("words", parse_query(words), words)
    for words in _RUSSIAN_WORDS:
        yield ask("words in Russian", parse_query(words), words)
    lion, apple, train = drawing(_LION), drawing(_APPLE), drawing(_TRAIN)
    yield ask("a picture in another style", parse_query(None, pictures=[lion]), "more like this", lion)
    mixed = parse_query(None, pictures=[apple], plus=["green"], minus=["red"])
    yield ask("a picture and words", mixed, "this, plus “green”, minus “red”", apple)
    mixed = parse_query(None, pictures=[train], plus=["mountain"])
    yield ask("a picture and words", mixed, "this, plus “mountain”", train)


def _classify(asking: Path, model: str) -> Iterable[Guess]:
    paths = [asking / f"{concept}-{ASKING_FAMILY}.png" for concept in _CLASSIFIED]
    found = classify_pictures(model, [path for path in paths if path.exists()], _LABELS)
    for entry in found.pictures:
        yield Guess(path=entry.path, label=entry.label, probability=entry.probabilities[entry.label])


def _page(collection: Collection, answers: Sequence[Answer], guesses: Sequence[Guess], unseen: set[str]) -> str:
    sections = [_section(answer, unseen) for answer in answers]
    sections.append(
        Section(
            kind="zero-shot classification",
            query=f"which of: {', '.join(_LABELS)}?",
            hits=[
                ShownPicture(picture=read_picture(guess.path), caption=guess.label, score=f"{guess.probability:.0%}")
                for guess in guesses
            ],
        )
    )
    lead = _LEAD.format(num_pictures=len(collection), families=" and ".join(GALLERY_FAMILIES), num_unseen=len(unseen))
    return report_page("Limner finds pictures", lead, sections, footer="Made by limner demo.")


def _section(answer: Answer, unseen: set[str]) -> Section:
    return Section(
        kind=answer.kind,
        query=answer.query,
        asked=read_picture(answer.asked) if answer.asked else None,
        hits=[
            ShownPicture(
                picture=read_picture(Path(hit.path)),
                caption=("✦ " if hit.path in unseen else "") + hit.caption,
                score=f"{hit.score:.3f}",
            )
            for hit in answer.hits
        ],
    )
