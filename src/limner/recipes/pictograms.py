"""The shipped model `pictograms`: EfficientNet-Lite0 and a small text tower, taught by pictures and sentences.

limner data get pictograms pictograms
limner data get openclipart openclipart
limner data get icons icons
limner train pictograms --data pictograms --data openclipart --data icons --data pictograms --data openclipart --out r
limner train pictograms-words --from r --data pictograms --data openclipart --data icons --out w
limner train pictograms-joint --from w --data pictograms --data openclipart --data icons --data pictograms \
    --data openclipart --out j

Pictures learn first, from a teacher of words; then a text tower learns the teacher's words, and in the end both learn
from each other. Icons widen what the pictures show but are drawn in few styles, so the other sets are read twice as
often.
"""

from limner.data.augmentation import AugmentationConfig
from limner.data.captions import CaptionChoice
from limner.data.loader import LoaderConfig
from limner.data.tokenizer import TokenizerConfig
from limner.models.clip import CLIPConfig
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.objectives.taught_images import TaughtImagesObjectiveConfig
from limner.objectives.taught_texts import TaughtTextsObjectiveConfig
from limner.recipes.base import Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["pictograms", "pictograms_joint", "pictograms_words"]

_ALIGNED, _MAPPED, _SEEN = 40, 300, 2700
"""The steps up to which projections learn before the frozen trunk, the teacher's map learns, and pictures learn."""

# Edges and colours of photographs serve drawings too, and the first grids are the largest: half of a step's time.
_LOCKED = {f"vision.{part}": 0.0 for part in ("stem", *(f"blocks.{number}" for number in range(5)))}
_TEXT = {"text": 0.0, "text_projection": 0.0}
_PICTURES = {"vision": 0.0, "image_projection": 0.0, "log_scale": 0.0, "bias": 0.0}

_MODEL = CLIPConfig(
    vision=InvertedResidualConfig(image_size=80),
    text=TextConfig(
        length=16,
        token_dim=48,
        transformer=TransformerConfig(dim=160, depth=2, num_heads=5),
    ),
    embed_dim=256,
)
_CAPTIONS = CaptionChoice(languages={"en": 4.0, "ru": 2.5, "*": 0.12}, tag_rate=0.35, template_rate=0.15)
_TOKENIZER = TokenizerConfig(vocab_size=20000)
_AUGMENTATION = AugmentationConfig(
    zoom=(0.65, 1.15),
    stretch=0.12,
    rotation_degrees=12.0,
    hue_degrees=20.0,
    saturation=0.5,
    grey_rate=0.15,
    ground_rate=0.35,
    invert_rate=0.05,
    outline_rate=0.07,
    ink_rate=0.12,
    erase_rate=0.15,
)


def pictograms() -> Run:
    """Return the run in which the pictures learn: 3.7 M parameters; needs the extra `teachers`."""
    return Run(
        model=_MODEL,
        objective=TaughtImagesObjectiveConfig(),
        loader=LoaderConfig(batch_size=192, num_lessons=2048, captions=_CAPTIONS, augmentation=_AUGMENTATION),
        tokenizer=_TOKENIZER,
        loop=LoopConfig(
            num_steps=_SEEN,
            warmup_steps=50,
            averaging_decay=0.995,
            save_every=50,
            validate_every=100,
            optimizer=OptimizerConfig(
                learning_rate=1.5e-3,
                weight_decay=0.05,
                rates={"vision": 0.25} | _LOCKED | _TEXT,
                spans={"vision": (_ALIGNED, _SEEN), "teacher_projection": (0, _MAPPED)},
                muon={"vision": 6.0, "image_projection": 4.0, "teacher_projection": 4.0},
            ),
        ),
        image_start="efficientnet-lite0",
    )


def pictograms_words() -> Run:
    """Return the run in which the text tower learns, started from one of `pictograms`: 1.6 M parameters."""
    return Run(
        model=_MODEL,
        objective=TaughtTextsObjectiveConfig(order_weight=1.0),
        loader=LoaderConfig(batch_size=1024, captions=_CAPTIONS),
        tokenizer=_TOKENIZER,
        loop=LoopConfig(
            num_steps=8000,
            warmup_steps=100,
            averaging_decay=0.998,
            save_every=200,
            validate_every=200,
            optimizer=OptimizerConfig(
                learning_rate=2e-3,
                weight_decay=0.01,
                rates=_PICTURES | {"teacher_projection": 0.0},
                muon={"text.transformer": 4.0, "text_projection": 4.0},
            ),
        ),
        continues=True,
        fresh=("text", "text_projection"),
    )


def pictograms_joint() -> Run:
    """Return the run in which pictures and the text tower learn from each other, started from `pictograms_words`."""
    return Run(
        model=_MODEL,
        loader=LoaderConfig(batch_size=192, captions=_CAPTIONS, augmentation=_AUGMENTATION),
        tokenizer=_TOKENIZER,
        loop=LoopConfig(
            num_steps=600,
            warmup_steps=40,
            averaging_decay=0.99,
            save_every=50,
            validate_every=100,
            optimizer=OptimizerConfig(
                learning_rate=1.5e-3,
                weight_decay=0.05,
                rates={"vision": 0.25, "text": 0.1, "text_projection": 0.1} | _LOCKED,
                muon={"vision": 3.0, "image_projection": 2.0},
            ),
        ),
        continues=True,
    )
