"""The shipped model `pictograms`: EfficientNet-Lite0 and a small text tower, taught by pictures and sentences.

limner data get pictograms pictograms
limner data get openclipart openclipart
limner data get icons icons
limner train pictograms --data pictograms --data openclipart --data icons --data pictograms --data openclipart --out run

Icons widen what the pictures show but are drawn in few styles, so the other sets are read twice as often.
"""

from limner.data.augmentation import AugmentationConfig
from limner.data.captions import CaptionChoice
from limner.data.loader import LoaderConfig
from limner.data.tokenizer import TokenizerConfig
from limner.models.clip import CLIPConfig
from limner.nn.inverted_residual import InvertedResidualConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.objectives.taught_clip import TaughtCLIPObjectiveConfig
from limner.recipes.base import Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["pictograms"]

_ALIGNED, _SEEN, _READ = 200, 2000, 2750
"""The steps up to which projections learn before the frozen trunk, pictures learn, and the text tower learns."""

# Edges and colours of photographs serve drawings too, and the first grids are the largest: half of a step's time.
_LOCKED = {f"vision.{part}.": 0.0 for part in ("stem", *(f"blocks.{number}" for number in range(5)))}


def pictograms() -> Run:
    """Return the run of the shipped weights: 5.6 M parameters; needs the extra `teachers`."""
    text = TextConfig(
        length=16,
        token_dim=96,
        transformer=TransformerConfig(dim=192, depth=2, num_heads=3, dropout_rate=0.1),
    )
    augmentation = AugmentationConfig(
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
    captions = CaptionChoice(languages={"en": 4.0, "ru": 2.5, "*": 0.12}, tag_rate=0.35, template_rate=0.15)
    return Run(
        model=CLIPConfig(vision=InvertedResidualConfig(image_size=80), text=text, embed_dim=256),
        objective=TaughtCLIPObjectiveConfig(student_from=_SEEN),
        loader=LoaderConfig(batch_size=192, num_lessons=640, captions=captions, augmentation=augmentation),
        tokenizer=TokenizerConfig(vocab_size=9000, dropout_rate=0.05),
        loop=LoopConfig(
            num_steps=_READ,
            warmup_steps=50,
            averaging_decay=0.995,
            save_every=50,
            validate_every=100,
            optimizer=OptimizerConfig(
                learning_rate=1.5e-3,
                weight_decay=0.05,
                rates={"vision": 0.25} | _LOCKED,
                spans={
                    "vision": (_ALIGNED, _SEEN),
                    "image_projection": (0, _SEEN),
                    "teacher_projection": (0, _SEEN),
                    "text": (_SEEN, _READ),
                },
            ),
        ),
        image_start="efficientnet-lite0",
    )
