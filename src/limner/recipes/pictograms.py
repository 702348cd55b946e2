"""The shipped model `pictograms`: EfficientNet-Lite0 and a small text tower, taught by pictures and sentences.

limner data get pictograms pictograms
limner data get openclipart openclipart
limner data get icons icons
limner train pictograms $SETS --out a
limner train pictograms-pictures --from a $SETS --out b
limner train pictograms-words --from b --data pictograms --data openclipart --data icons --out c
limner train pictograms-joint --from c $SETS --out d
limner train pictograms-colours --from d $SETS --out e
limner train pictograms-extractor --from e --data pictograms --out f

SETS="--data pictograms --data openclipart --data icons --data pictograms --data openclipart": icons widen what the
pictures show but are drawn in few styles, so the other sets are read twice as often. First the pictures learn from a
teacher of words, and the map from the teacher with them; then they go on while the map stays; then a text tower learns
to say what the map says; then both towers learn from each other, and in the end which colours things have. Every run
keeps its last weights. The extractor is for asking by pictures alone: what the CLIP sees, moved so that drawings of one
concept lie together.
"""

from dataclasses import replace

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
from limner.recipes.metric import metric
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = [
    "pictograms",
    "pictograms_colours",
    "pictograms_extractor",
    "pictograms_joint",
    "pictograms_pictures",
    "pictograms_words",
]

_ALIGNED, _MAPPED = 40, 300
"""The steps up to which projections learn before the frozen trunk, and up to which the teacher's map learns."""
_SEEN, _READ, _JOINED, _COLOURED, _COMPARED = 2400, 8000, 700, 1700, 600
"""The steps of the other runs."""


def _locked(num_blocks: int) -> dict[str, float]:
    """Return rates of 0 for the stem and the first blocks of the trunk."""
    return {f"vision.{part}": 0.0 for part in ("stem", *(f"blocks.{number}" for number in range(num_blocks)))}


# Edges and colours of photographs serve drawings too, and the first grids are the largest: half of a step's time.
_LOCKED = _locked(5)
# The places of pictures that STIR compares are those after 11 blocks, so an extractor and its CLIP have them in common.
_COMMON = _locked(12)
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
    """Return the run in which the teacher's map learns, and the pictures begin to; needs the extra `teachers`."""
    return Run(
        model=_MODEL,
        objective=TaughtImagesObjectiveConfig(),
        loader=LoaderConfig(batch_size=192, num_lessons=2048, captions=_CAPTIONS, augmentation=_AUGMENTATION),
        tokenizer=_TOKENIZER,
        loop=LoopConfig(
            num_steps=_MAPPED,
            warmup_steps=50,
            averaging_decay=0.995,
            save_every=50,
            validate_every=_MAPPED,
            optimizer=OptimizerConfig(
                learning_rate=1.5e-3,
                weight_decay=0.05,
                rates={"vision": 0.25} | _LOCKED | _TEXT,
                spans={"vision": (_ALIGNED, _MAPPED)},
                muon={"vision": 5.0, "image_projection": 4.0, "teacher_projection": 4.0},
            ),
        ),
        image_start="efficientnet-lite0",
    )


def pictograms_pictures() -> Run:
    """Return the run in which the pictures learn, started from one of `pictograms`: 3.7 M parameters.

    What it learns late of concepts that it sees costs those that it does not, so a quarter of the start stays.
    """
    run = pictograms()
    rates = {"vision": 0.25, "teacher_projection": 0.0} | _LOCKED | _TEXT
    optimizer = replace(run.loop.optimizer, rates=rates, spans={}, muon={"vision": 6.0, "image_projection": 4.0})
    loop = replace(run.loop, num_steps=_SEEN, validate_every=_SEEN, start_share=0.25, optimizer=optimizer)
    return replace(run, loop=loop, image_start="", continues=True)


def pictograms_words() -> Run:
    """Return the run in which the text tower learns, started from `pictograms_pictures`: 1.6 M parameters."""
    return Run(
        model=_MODEL,
        objective=TaughtTextsObjectiveConfig(order_weight=1.0),
        loader=LoaderConfig(batch_size=1024, captions=_CAPTIONS),
        tokenizer=_TOKENIZER,
        loop=LoopConfig(
            num_steps=_READ,
            warmup_steps=100,
            averaging_decay=0.998,
            save_every=200,
            validate_every=_READ,
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
            num_steps=_JOINED,
            warmup_steps=40,
            averaging_decay=0.99,
            start_share=0.5,
            save_every=50,
            validate_every=_JOINED,
            optimizer=OptimizerConfig(
                learning_rate=7e-4,
                weight_decay=0.05,
                rates={"vision": 0.25, "text": 0.1, "text_projection": 0.1} | _LOCKED,
                muon={"vision": 3.0, "image_projection": 2.0},
            ),
        ),
        continues=True,
    )


def pictograms_colours() -> Run:
    """Return the run in which colours are told apart, started from `pictograms_joint`.

    Until here a picture was the same to the towers in any hue; now a third of the pictures ask for theirs by name.
    """
    run = pictograms_joint()
    augmentation = replace(_AUGMENTATION, hue_degrees=10.0, grey_rate=0.08)
    rates = run.loop.optimizer.rates | {"text": 0.2, "text_projection": 0.2}
    return replace(
        run,
        loader=replace(run.loader, tint_rate=0.35, augmentation=augmentation),
        loop=replace(
            run.loop,
            num_steps=_COLOURED,
            validate_every=_COLOURED,
            start_share=0.25,
            optimizer=replace(run.loop.optimizer, learning_rate=5e-4, rates=rates),
        ),
    )


def pictograms_extractor() -> Run:
    """Return the run in which the last blocks learn by batch-hard triplets, started from a CLIP `pictograms`."""
    run = metric()
    optimizer = replace(run.loop.optimizer, rates={"vision": 0.5} | _COMMON)
    loop = replace(
        run.loop, num_steps=_COMPARED, warmup_steps=30, validate_every=200, save_every=60, optimizer=optimizer
    )
    return replace(run, model=_MODEL, loop=loop, continues=True)
