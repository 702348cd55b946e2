"""Fashion-MNIST by its captions: ten kinds of clothes, named by prompts afterwards."""

from limner.data.augmentation import AugmentationConfig
from limner.data.loader import LoaderConfig
from limner.data.tokenizer import TokenizerConfig
from limner.models.clip import CLIPConfig
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualStage
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.recipes.base import Run
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

__all__ = ["clip_fashion_mnist"]

_STAGES = (
    InvertedResidualStage(dim=64, num_blocks=2, expansion=2, stride=2, fused=True),
    InvertedResidualStage(dim=128, num_blocks=4, expansion=2, stride=2, fused=True),
    InvertedResidualStage(dim=256, num_blocks=1, expansion=2, stride=2, fused=True),
)


def clip_fashion_mnist() -> Run:
    """Return a run over twenty epochs of 28-pixel pictures: mirrored, shifted and partly covered, never recoloured."""
    vision = InvertedResidualConfig(
        image_size=28,
        stem_dim=24,
        stem_stride=1,
        stages=_STAGES,
        head_dim=256,
        drop_path_rate=0.1,
        mean=(0.7, 0.7, 0.7),
        std=(0.35, 0.35, 0.35),
    )
    augmentation = AugmentationConfig(
        zoom=(0.92, 1.12),
        stretch=0.06,
        rotation_degrees=5.0,
        shift=0.05,
        flip_rate=0.5,
        brightness=0.0,
        contrast=0.1,
        saturation=0.0,
        hue_degrees=0.0,
        grey_rate=0.0,
        ground_rate=0.0,
        erase_rate=0.4,
    )
    text = TextConfig(length=16, token_dim=32, transformer=TransformerConfig(dim=64, depth=1, num_heads=2))
    return Run(
        model=CLIPConfig(vision=vision, text=text, embed_dim=64),
        loader=LoaderConfig(batch_size=128, augmentation=augmentation),
        tokenizer=TokenizerConfig(vocab_size=400),
        loop=LoopConfig(
            num_steps=8600,
            warmup_steps=200,
            averaging_decay=0.998,
            validate_every=800,
            optimizer=OptimizerConfig(
                learning_rate=3e-3, weight_decay=0.05, muon={"vision": 4.0, "text.transformer": 4.0}
            ),
        ),
    )
