"""The shipped model `pictograms`: EfficientNet-Lite0 and a small text tower, taught by pictures and sentences.

limner data get pictograms pictograms
limner data get openclipart openclipart
limner train pictograms --data pictograms --data openclipart --out run
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
        objective=TaughtCLIPObjectiveConfig(),
        loader=LoaderConfig(batch_size=128, num_lessons=256, captions=captions, augmentation=augmentation),
        tokenizer=TokenizerConfig(vocab_size=9000, dropout_rate=0.05),
        loop=LoopConfig(
            num_steps=1150,
            warmup_steps=100,
            averaging_decay=0.995,
            save_every=100,
            validate_every=150,
            optimizer=OptimizerConfig(learning_rate=1.5e-3, weight_decay=0.05, rates={"vision": 0.25} | _LOCKED),
        ),
        image_start="efficientnet-lite0",
    )
