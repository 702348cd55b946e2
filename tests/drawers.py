"""A tiny DALL-E with its dVAE, of random weights."""

from pathlib import Path

import torch

from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.generation.drawer import DVAE_FOLDER
from limner.models.checkpoints import save_model
from limner.models.dalle import DALLE, DALLEConfig, WordsConfig
from limner.models.dvae import DVAE, DVAEConfig
from limner.nn.hybrid import HybridConfig, HybridStage
from limner.nn.transformer import TransformerConfig

__all__ = ["tiny_dvae", "write_tiny_drawer", "write_tiny_dvae"]

_SMALL = TransformerConfig(dim=16, depth=1, num_heads=2)


def tiny_dvae(num_codes: int = 24) -> DVAE:
    torch.manual_seed(0)
    network = HybridConfig(stages=(HybridStage(dim=8), HybridStage(dim=8)), code_dim=6, encoder=_SMALL, decoder=_SMALL)
    return DVAE(DVAEConfig(image_size=32, num_codes=num_codes, network=network))


def write_tiny_dvae(folder: Path, num_codes: int = 24) -> Path:
    save_model(folder, tiny_dvae(num_codes))
    return folder


def write_tiny_drawer(folder: Path) -> Path:
    dvae = tiny_dvae()
    tokenizer = Tokenizer.train(["a red circle", "a blue square"] * 3, TokenizerConfig(vocab_size=300))
    torch.manual_seed(1)
    model = DALLE(
        DALLEConfig(
            text=WordsConfig(vocab_size=tokenizer.vocab_size, length=8, token_dim=8),
            num_codes=dvae.config.num_codes,
            grid_size=dvae.config.grid_size,
            transformer=TransformerConfig(dim=32, depth=2, num_heads=2),
        )
    )
    for parameter in model.parameters():  # far enough from the small numbers of the start for words to matter
        parameter.data.mul_(6 if parameter.ndim > 1 else 1)
    save_model(folder, model)
    tokenizer.save(folder)
    save_model(folder / DVAE_FOLDER, dvae)
    return folder
