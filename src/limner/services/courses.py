"""What a run of each kind trains with: an objective, a stream of batches, and figures that judge the model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from limner.data.balanced_loader import BalancedLoader
from limner.data.balancing import BalanceConfig
from limner.data.captions import Captions
from limner.data.codes import CodesLoader
from limner.data.lesson_loader import LessonLoader
from limner.data.lessons import Lessons, Vectors
from limner.data.loader import CaptionedLoader
from limner.data.picture_set import PictureSet
from limner.data.pictures import PictureLoader
from limner.data.progress import Report, Say
from limner.data.ranking import RankingLoader, SideKind
from limner.data.tokenizer import Tokenizer
from limner.evaluation.reconstruction import reconstruction_figures
from limner.generation.drawer import Drawer
from limner.generation.likelihood import likelihoods
from limner.interop.sentence_teacher import SentenceTeacher
from limner.models.clip import CLIP
from limner.models.dalle import DALLE
from limner.models.dvae import DVAE
from limner.models.relevance import RelevanceModel
from limner.models.stir import STIR, EmbeddingSTIR, STIRConfig
from limner.objectives.base import Objective
from limner.objectives.clip import CLIPObjective, CLIPObjectiveConfig
from limner.objectives.dalle import DALLEObjective, DALLEObjectiveConfig
from limner.objectives.dvae import DVAEObjective, DVAEObjectiveConfig
from limner.objectives.metric import MetricObjective, MetricObjectiveConfig
from limner.objectives.ranking import RankingObjective, RankingObjectiveConfig
from limner.objectives.stir import STIRObjective, STIRObjectiveConfig
from limner.objectives.taught_images import TaughtImagesObjective, TaughtImagesObjectiveConfig
from limner.objectives.taught_texts import TaughtTextsObjective, TaughtTextsObjectiveConfig
from limner.recipes.base import MetricConfig, RankingConfig, Run
from limner.search.embedder import Embedder
from limner.search.reranker import Reranker
from limner.services.coding import code_pictures, moved_towards
from limner.services.gallery import gallery_vectors, likeness_categories, near_copies, remembered
from limner.services.mining import Mine
from limner.services.starting import Start, is_beside, is_fresh, load_beside
from limner.services.teaching import build_lessons
from limner.services.validation import HeldOut, figures_of_reranking
from limner.training.distributed import own_rank
from limner.types import Embeddings

__all__ = ["COURSES", "Course", "Material"]

_MOST_JUDGED = 512
_MOST_AVERAGED = 4096
_MANY_LANGUAGES = 5
_NO_TEXT = 1


@dataclass(frozen=True, kw_only=True)
class Material:
    """What every kind of run is given: its folder and config, rows of sets, tokenizer and model, and its start.

    A run that teaches to draw also has its dVAE, and the CLIP whose words it begins with, if any. One that sees
    pictures alone has no captions and no tokenizer.
    """

    out: Path
    run: Run
    sets: Sequence[PictureSet]
    rows: Sequence[np.ndarray]
    held_out: HeldOut
    captions: Captions | None
    words: Tokenizer | None
    model: nn.Module
    dvae: DVAE | None
    speaker: Embedder | None
    start: Start | None
    start_folder: Path | None
    report: Report
    say: Say

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a run that reads words."""
        assert self.words is not None, "the run sees pictures alone"
        return self.words


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the loop runs on, the loader that knows how many there are of `what`, and the judge of any weights.

    `judge` names the figure of which more is better. `asks` is what may ask for pictures: not words, where the model's
    own text tower has learned nothing, and nothing at all, where it judges no pairs.
    """

    objective: Objective
    batches: Callable[[int], Iterator[Any]]
    loader: CaptionedLoader | CodesLoader | LessonLoader | PictureLoader
    figures: Callable[[Any], dict[str, float]]
    what: str = "pictures"
    judge: str = "mAP"
    asks: tuple[SideKind, ...] = ("text", "picture")


def _contrast(material: Material) -> Course:
    _warn_of_many_languages(material)
    loader = _loader(material)
    objective = CLIPObjective(cast(CLIP, material.model), cast(CLIPObjectiveConfig, material.run.objective))
    return Course(objective=objective, batches=loader.batches, loader=loader, figures=_by_embedding(material))


def _taught_images(material: Material) -> Course:
    """Until a text tower has learned, the teacher itself reads the held-out captions."""
    model, teacher = cast(CLIP, material.model), SentenceTeacher()
    objective = TaughtImagesObjective(model, cast(TaughtImagesObjectiveConfig, material.run.objective))
    if material.start_folder and is_beside(material.start_folder):
        load_beside(material.start_folder, objective)
    loader = _loader(material, _lessons(material, teacher.vocabulary, teacher.embed))
    held_out = material.held_out
    read = torch.from_numpy(teacher.embed(held_out.captions))

    def figures(judged: RelevanceModel) -> dict[str, float]:
        with torch.inference_mode():
            texts = objective.teacher_projection(read).numpy()
        return held_out.figures(Embedder(cast(CLIP, judged), material.tokenizer, name="run"), texts)

    return Course(objective=objective, batches=loader.batches, loader=loader, figures=figures, asks=())


def _taught_texts(material: Material) -> Course:
    """A token table that begins at random starts from what the texts of a token mean to the teacher instead."""
    model, run = cast(CLIP, material.model), material.run
    assert material.start_folder is not None, "the run continues another"
    teacher, config = SentenceTeacher(), cast(TaughtTextsObjectiveConfig, run.objective)
    objective = TaughtTextsObjective(model, config)
    load_beside(material.start_folder, objective)
    if config.order_weight:
        objective.show(_gallery(material, model))
    lessons = _lessons(material, teacher.vocabulary, teacher.embed, teacher.phrases)
    if is_fresh(run, "text.tokens.weight"):
        vectors = lessons.token_vectors(material.tokenizer, model.config.text.token_dim)
        model.text.tokens.weight.data.copy_(torch.from_numpy(vectors))
    loader = LessonLoader(
        lessons,
        material.tokenizer,
        run.loader,
        text_length=model.config.text.length,
        rank=own_rank(),
    )
    return Course(
        objective=objective, batches=loader.batches, loader=loader, figures=_by_embedding(material), what="texts"
    )


def _gallery(material: Material, model: CLIP) -> Embeddings:
    """Return the embeddings of the training pictures, worked out once for a run."""

    def work_out() -> dict[str, np.ndarray]:
        loader = _loader(material)
        material.say(f"embedding {len(loader):,} pictures, whose order the texts learn")
        return {"vectors": gallery_vectors(model.eval(), loader)}

    return torch.from_numpy(remembered(material.out / "gallery.safetensors", work_out)["vectors"])


def _lessons(
    material: Material,
    vocabulary: Sequence[str],
    embed: Callable[[Sequence[str]], Vectors],
    phrases: Sequence[str] = (),
) -> Lessons:
    assert material.captions is not None, "the run sees pictures alone"
    memory = material.out / "teacher.safetensors"
    lessons = build_lessons(material.captions, vocabulary, embed, memory, phrases=phrases)
    material.say(f"{len(lessons):,} lessons from the teacher of words")
    return lessons


def _metric(material: Material) -> Course:
    """Same-concept pictures among held-out concepts judge; words only count where they are trained."""
    run, objective = material.run, cast(MetricObjectiveConfig, material.run.objective)
    loader = _loader(material)

    def figures(judged: RelevanceModel) -> dict[str, float]:
        scorer = Reranker(judged, material.tokenizer, name="run")
        return material.held_out.figures_of_pairs(scorer, query="picture", document="picture")

    return Course(
        objective=MetricObjective(cast(CLIP, material.model), objective),
        batches=_balanced(material, loader, cast(MetricConfig, run.metric)).batches,
        loader=loader,
        figures=figures,
        asks=("text", "picture") if material.start or objective.words_weight else ("picture",),
    )


def _warn_of_many_languages(material: Material) -> None:
    captions = material.captions
    assert captions is not None, "the run reads words"
    languages = captions.all_languages()
    if len(languages) >= _MANY_LANGUAGES and len({captions.weight(each) for each in languages}) == 1:
        material.say(
            f"captions of {len(languages)} languages are read alike, so each is learned slowly; to read some more "
            """often, give their weights, as in --set 'loader.captions.languages={"en": 4, "*": 0.1}'"""
        )


def _balanced(material: Material, loader: CaptionedLoader, config: MetricConfig) -> BalancedLoader:
    """Clusters of concepts and near copies are worked out once, by the model that the run starts from."""
    start = material.start.model if material.start else None
    num_clusters = config.num_clusters if isinstance(start, CLIP) else 0
    if config.num_clusters and not num_clusters:
        material.say("warning: nothing tells which concepts look alike; start --from a CLIP, or batches mix all")

    def work_out() -> dict[str, np.ndarray]:
        categories = np.zeros(len(loader), dtype=np.int64)
        if isinstance(start, CLIP) and num_clusters:
            vectors = gallery_vectors(start, loader)
            categories = likeness_categories(vectors, loader.captions.concepts, num_clusters)
        return {"categories": categories, "duplicates": near_copies(loader)}

    known = remembered(material.out / "gallery.safetensors", work_out)
    num_categories = config.num_categories if num_clusters else 1
    balance = BalanceConfig(
        num_categories=num_categories,
        num_labels=max(material.run.loader.batch_size // (num_categories * config.num_instances), 1),
        num_instances=config.num_instances,
        seed=material.run.loader.seed,
    )
    return BalancedLoader(loader, balance, categories=known["categories"], duplicates=known["duplicates"])


def _ranking(material: Material) -> Course:
    """Hard negatives come from the CLIP in training, or from the one that another model starts from."""
    run, model = material.run, cast(RelevanceModel, material.model)
    ranking = cast(RankingConfig, run.ranking)
    if "text" in (ranking.query, ranking.document):
        _warn_of_many_languages(material)
    loader = _loader(material)
    lists = RankingLoader(loader, query=ranking.query, document=ranking.document, num_mined=ranking.num_mined)
    first_stage = model if isinstance(model, CLIP) else material.start.model if material.start else None
    mine = Mine(material.out, run, loader, material.tokenizer, first_stage, say=material.say)

    def figures(judged: RelevanceModel) -> dict[str, float]:
        scorer = Reranker(judged, material.tokenizer, name="run")
        return material.held_out.figures_of_pairs(scorer, query=ranking.query, document=ranking.document)

    return Course(
        objective=RankingObjective(model, cast(RankingObjectiveConfig, run.objective)),
        batches=mine.batches(lists),
        loader=loader,
        figures=figures,
    )


def _stir(material: Material) -> Course:
    """Pairs are mined with the embeddings that STIR carries, or with those of the CLIP that it starts from."""
    run, model = material.run, cast(STIR, material.model)
    loader = _loader(material)
    pairs = RankingLoader(
        loader, query="picture", document="picture", num_mined=cast(RankingConfig, run.ranking).num_mined
    )
    start = material.start.model if material.start else None
    first_stage = model if isinstance(model, EmbeddingSTIR) else start
    mine = Mine(material.out, run, loader, material.tokenizer, first_stage, say=material.say)

    def figures(judged: RelevanceModel) -> dict[str, float]:
        return figures_of_reranking(material.held_out, judged, start)

    return Course(
        objective=STIRObjective(model, cast(STIRObjectiveConfig, run.objective)),
        batches=mine.batches(pairs),
        loader=loader,
        figures=figures,
        asks=("picture",),
    )


def _dalle(material: Material) -> Course:
    """The text and the codes of a picture; judged by what held-out ones cost, a token and a code."""
    run, dvae = material.run, cast(DVAE, material.dvae)
    assert run.drawing is not None
    config = cast(DALLEObjectiveConfig, run.objective)
    captioned = _loader(material, image_size=dvae.config.image_size)
    speaker = material.speaker if config.picture_rate else None
    coded = code_pictures(
        dvae,
        speaker,
        captioned,
        material.out / "codes",
        num_views=run.drawing.num_views,
        report=material.report,
        say=material.say,
    )
    if speaker is not None and coded.embeddings is not None:
        items = range(0, len(captioned.captions), -(-len(captioned.captions) // _MOST_AVERAGED))
        texts = [captioned.captions.draw(item, (run.loader.seed, item)).text for item in items]
        coded = coded._replace(embeddings=moved_towards(coded.embeddings, speaker.embed_texts(texts)))
    objective = DALLEObjective(cast(DALLE, material.model), config)
    loader = CodesLoader(captioned, coded)
    return Course(
        objective=objective,
        batches=loader.batches,
        loader=loader,
        figures=_by_likelihood(material, dvae),
        judge="likelihood",
        asks=(),
    )


def _by_likelihood(material: Material, dvae: DVAE) -> Callable[[DALLE], dict[str, float]]:
    """Return nats a held-out token and code, and minus the latter as the likelihood: what is drawn is what counts."""
    count = min(len(material.held_out), _MOST_JUDGED)
    if not count:
        return lambda model: {}
    drawer = Drawer(cast(DALLE, material.model), material.tokenizer, dvae, name="run")
    codes = drawer.codes(material.held_out.squares(drawer.image_size)[:count])
    tokens, _ = material.tokenizer.encode(material.held_out.captions[:count], drawer.model.config.text.length)

    def figures(model: DALLE) -> dict[str, float]:
        found = likelihoods(model, tokens, codes)
        text = -float(found.text.sum() / found.num_tokens.sum())
        picture = -float(found.picture.mean() / model.num_places)
        return {"text_nats": text, "picture_nats": picture, "likelihood": -picture}

    return figures


def _reconstruction(material: Material) -> Course:
    """Judged by what is left of the held-out pictures, by the use of codes and by the bounds."""
    run, model = material.run, cast(DVAE, material.model)
    config = cast(DVAEObjectiveConfig, run.objective)
    loader = PictureLoader(
        material.sets,
        material.rows,
        run.loader,
        image_size=model.config.image_size,
        rank=own_rank(),
    )
    seen = run.loader.batch_size * run.loop.accumulation_steps
    objective = DVAEObjective(
        model, config, num_steps=run.loop.num_steps, epoch_steps=max(round(len(loader) / seen), 1)
    )
    pictures = material.held_out.squares(model.config.image_size)[:_MOST_JUDGED]
    return Course(
        objective=objective,
        batches=loader.batches,
        loader=loader,
        figures=lambda judged: reconstruction_figures(judged, pictures, config),
        judge="PSNR",
        asks=(),
    )


COURSES: dict[str, Callable[[Material], Course]] = {
    "contrast": _contrast,
    "dalle": _dalle,
    "dvae": _reconstruction,
    "metric": _metric,
    "ranking": _ranking,
    "stir": _stir,
    "taught_images": _taught_images,
    "taught_texts": _taught_texts,
}
"""By the kind of the objective."""


def _loader(material: Material, lessons: Lessons | None = None, *, image_size: int | None = None) -> CaptionedLoader:
    run: Any = material.run
    return CaptionedLoader(
        material.sets,
        material.rows,
        material.tokenizer.with_dropout(run.tokenizer.dropout_rate),
        run.loader,
        image_size=image_size or run.model.vision.image_size,
        text_length=_NO_TEXT if isinstance(run.model, STIRConfig) else run.model.text.length,
        rank=own_rank(),
        lessons=lessons,
        captions=material.captions,
    )


def _by_embedding(material: Material) -> Callable[[RelevanceModel], dict[str, float]]:
    return lambda model: material.held_out.figures(Embedder(cast(CLIP, model), material.tokenizer, name="run"))
