"""A run: everything that training needs to know, as one config that prints and reads back."""

from dataclasses import dataclass, field
from typing import Literal

from limner.config import Count, Whole
from limner.data.loader import LoaderConfig
from limner.data.ranking import SideKind
from limner.data.tokenizer import TokenizerConfig
from limner.models.clip import CLIPConfig
from limner.models.cross_encoder import CrossEncoderConfig
from limner.models.dalle import DALLEConfig
from limner.models.dvae import DVAEConfig
from limner.models.language_relevance import LanguageRelevanceConfig
from limner.models.late_interaction import LateInteractionConfig
from limner.models.stir import STIRConfig
from limner.objectives.clip import CLIPObjectiveConfig
from limner.objectives.dalle import DALLEObjectiveConfig
from limner.objectives.dvae import DVAEObjectiveConfig
from limner.objectives.metric import MetricObjectiveConfig
from limner.objectives.ranking import RankingObjectiveConfig
from limner.objectives.ranking_losses import FROM_NOISE
from limner.objectives.stir import STIRObjectiveConfig
from limner.objectives.taught_images import TaughtImagesObjectiveConfig
from limner.objectives.taught_texts import TaughtTextsObjectiveConfig
from limner.search.mine import MiningConfig
from limner.training.loop import LoopConfig

__all__ = ["DrawingConfig", "MetricConfig", "ModelConfig", "RankingConfig", "Run"]

ModelConfig = (
    CLIPConfig
    | CrossEncoderConfig
    | DALLEConfig
    | DVAEConfig
    | LanguageRelevanceConfig
    | LateInteractionConfig
    | STIRConfig
)
ObjectiveConfig = (
    CLIPObjectiveConfig
    | DALLEObjectiveConfig
    | DVAEObjectiveConfig
    | MetricObjectiveConfig
    | RankingObjectiveConfig
    | STIRObjectiveConfig
    | TaughtImagesObjectiveConfig
    | TaughtTextsObjectiveConfig
)


@dataclass(frozen=True, kw_only=True)
class MetricConfig:
    """How many pictures of a concept a batch has, and from how many categories its concepts come.

    A category is a cluster of concepts that look alike to the model that the run starts from, `num_clusters` in all,
    so that a batch holds hard negatives; without such a model, or with 0 clusters, concepts are drawn from all.
    """

    num_instances: Count = 4
    num_categories: Count = 4
    num_clusters: Whole = 0


@dataclass(frozen=True, kw_only=True)
class RankingConfig:
    """What asks and what is asked for, and how many hard negatives stand beside each query's own document."""

    query: SideKind = "text"
    document: SideKind = "picture"
    num_mined: int = 0
    mining: MiningConfig = field(default_factory=MiningConfig)


@dataclass(frozen=True, kw_only=True)
class DrawingConfig:
    """The run or model folder of the dVAE whose codes are learned, and in how many views each picture is encoded.

    The first view is the picture as it is, the others are changed at random as the loader's augmentation and
    `tint_rate` say. `words` names a CLIP whose tokens the DALL-E begins with, and whose embedding of the whole text it
    reads before it draws.
    """

    dvae: str = ""
    words: str = ""
    num_views: Count = 1


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole training run; `image_start` names published weights that the image tower starts from.

    `continues` says that the recipe goes on from another run, by its own optimiser; any other may start from a model to
    be tuned, and then steps by AdamW. `fresh` are parts that begin at random all the same.

    `ranking` is there where the objective ranks, `metric` where it learns a metric, and `drawing` where a DALL-E
    learns; `tokenizer` is not where pictures are all that the model sees.
    """

    model: ModelConfig = field(default_factory=CLIPConfig)
    objective: ObjectiveConfig = field(default_factory=CLIPObjectiveConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    tokenizer: TokenizerConfig | None = field(default_factory=TokenizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    ranking: RankingConfig | None = None
    metric: MetricConfig | None = None
    drawing: DrawingConfig | None = None
    image_start: Literal["", "efficientnet-lite0"] = ""
    continues: bool = False
    fresh: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that model, objective and loader fit each other."""
        self._check_comparing_pictures()
        if isinstance(self.objective, RankingObjectiveConfig):
            if self.ranking is None:
                raise ValueError("the objective ranks, so the run needs `ranking`; start from the recipe 'ranking'")
            if self.objective.language_weight and self.model.kind != "language":
                raise ValueError(
                    "objective.language_weight is for language models: set model.kind=language, or leave it"
                )
            if self.objective.loss in FROM_NOISE and self.ranking.num_mined:
                raise ValueError(
                    f"the loss {self.objective.loss} needs documents drawn evenly: leave ranking.num_mined at 0"
                )
        elif isinstance(self.objective, DVAEObjectiveConfig) or self.model.kind == "dvae":
            if not isinstance(self.objective, DVAEObjectiveConfig) or self.model.kind != "dvae":
                raise ValueError("a dVAE learns by its own objective; start from the recipe 'dvae'")
            return
        elif isinstance(self.objective, DALLEObjectiveConfig) or self.model.kind == "dalle":
            if not isinstance(self.objective, DALLEObjectiveConfig) or self.model.kind != "dalle" or not self.drawing:
                raise ValueError("a DALL-E learns by its own objective from a dVAE; start from the recipe 'dalle'")
        elif isinstance(self.objective, TaughtTextsObjectiveConfig) and not self.continues:
            raise ValueError("words are taught where pictures are known, so `continues` is true")
        elif self.model.kind not in ("clip", "stir"):
            raise ValueError(f"only a ranking objective trains the kind '{self.model.kind}'; use the recipe 'ranking'")
        if self.tokenizer is None:
            raise ValueError("a model that reads words needs a tokenizer; leave `tokenizer` as the recipe has it")

    def _check_comparing_pictures(self) -> None:
        if isinstance(self.objective, MetricObjectiveConfig) and self.metric is None:
            raise ValueError("the objective learns a metric, so the run needs `metric`; start from the recipe 'metric'")
        if isinstance(self.objective, STIRObjectiveConfig) != (self.model.kind == "stir"):
            raise ValueError(
                "the model and the objective 'stir' belong together; start from the recipe 'stir' or 'stir-joint'"
            )
        sides = (self.ranking.query, self.ranking.document) if self.ranking else None
        if isinstance(self.objective, STIRObjectiveConfig) and sides != ("picture", "picture"):
            raise ValueError("stir compares pictures, so ranking.query and ranking.document are 'picture'")
