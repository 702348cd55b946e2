"""A DALL-E ready for use: words become pictures, and pictures codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from limner.data.pixels import pictures_of, stack_images
from limner.data.tokenizer import Tokenizer
from limner.errors import ModelError
from limner.generation.autoregressive import Known, Watch, draw_codes
from limner.generation.sampling import Sampling
from limner.models.checkpoints import load_model, resolve
from limner.models.dalle import DALLE
from limner.models.dvae import DVAE
from limner.types import Codes, Tokens

__all__ = ["DVAE_FOLDER", "Drawer", "Prompt", "drawer_of", "ensure_fit", "load_drawer", "load_dvae"]

DVAE_FOLDER = "dvae"
"""Where, in the folder of a DALL-E, its dVAE stands."""

_BATCH_SIZE = 64


class Prompt(NamedTuple):
    """A text as the model reads it; whether it was cut to fit, and whether it says nothing."""

    tokens: Tokens
    is_cut: bool
    is_empty: bool


class Drawer:
    """A DALL-E with its tokenizer and its dVAE."""

    def __init__(self, model: DALLE, tokenizer: Tokenizer, dvae: DVAE, *, name: str) -> None:
        self.model, self.tokenizer, self.dvae, self.name = model, tokenizer, dvae, name

    @property
    def image_size(self) -> int:
        """The side of what is drawn, in pixels."""
        return int(self.dvae.config.image_size)

    def draw(
        self,
        words: str,
        count: int = 1,
        *,
        seed: int = 0,
        how: Sampling | None = None,
        known: Known | None = None,
        batch_size: int = 32,
        watch: Watch | None = None,
    ) -> list[Image.Image]:
        """Return pictures of words; picture i of a seed is the same however many are asked for.

        Without words, of anything. `known` is a started picture; `watch` is called as rows of codes are there.
        """
        prompts = self.prompt(words).tokens.expand(count, -1)
        seeds = [(seed, number) for number in range(count)]
        codes = draw_codes(
            self.model, prompts, seeds, how or Sampling(), known=known, batch_size=batch_size, watch=watch
        )
        return self.pictures(codes)

    def prompt(self, words: str) -> Prompt:
        """Return words as tokens; of empty ones, what stands for no text."""
        if not words.strip():
            return Prompt(self.model.no_text(1), is_cut=False, is_empty=True)
        tokens, num_cut = self.tokenizer.encode([words], self.model.config.text.length)
        return Prompt(tokens, is_cut=num_cut > 0, is_empty=False)

    @torch.inference_mode()
    def codes(self, pictures: Sequence[Image.Image]) -> Int[Tensor, "pictures places"]:
        """Return the codes of at least one picture, each padded to a square on white."""
        batches = (pictures[start : start + _BATCH_SIZE] for start in range(0, len(pictures), _BATCH_SIZE))
        return torch.cat([self.dvae.codes(stack_images(batch, self.image_size)).flatten(1) for batch in batches])

    @torch.inference_mode()
    def pictures(self, codes: Int[Tensor, "pictures places"]) -> list[Image.Image]:
        """Return the pictures that codes stand for."""
        side = self.model.config.grid_size
        grids: Codes = codes.view(len(codes), side, side)
        return [picture for batch in grids.split(_BATCH_SIZE) for picture in pictures_of(self.dvae.decode(batch))]


def load_drawer(model: str | Path) -> Drawer:
    """Return the drawer of a shipped model's name, a model folder or a run folder.

    Raises:
        ModelError: if there is no such model, it does not draw, a part of it is missing or damaged, or does not fit the
            others.
    """
    folder = resolve(model)
    dalle = load_model(folder)
    if not isinstance(dalle, DALLE):
        raise ModelError(f"{model} is a {type(dalle).__name__}, which does not draw; train one: limner train dalle")
    return drawer_of(dalle, folder, name=str(model))


def drawer_of(dalle: DALLE, folder: Path, *, name: str) -> Drawer:
    """Return the drawer of a DALL-E that was read from a folder, with the tokenizer and the dVAE from there.

    Raises:
        ModelError: if one of them is missing, damaged or does not fit.
    """
    tokenizer = Tokenizer.load(folder, vocab_size=dalle.config.text.vocab_size)
    if not (folder / DVAE_FOLDER / "config.json").is_file():
        raise ModelError(f"{folder} has no {DVAE_FOLDER}/config.json; restore the folder from a whole copy")
    dvae = load_dvae(folder / DVAE_FOLDER)
    ensure_fit(dalle, dvae, folder)
    return Drawer(dalle, tokenizer, dvae, name=name)


def load_dvae(model: str | Path) -> DVAE:
    """Return a dVAE from its folder, a run folder, or the folder of a DALL-E.

    Raises:
        ModelError: if there is none, or it is damaged.
    """
    folder = resolve(model)
    nested = folder / DVAE_FOLDER
    dvae = load_model(nested if (nested / "config.json").is_file() else folder)
    if not isinstance(dvae, DVAE):
        raise ModelError(f"{model} is a {type(dvae).__name__}, not a dVAE; train one: limner train dvae")
    return dvae.requires_grad_(False)


def ensure_fit(dalle: DALLE, dvae: DVAE, where: Path) -> None:
    """Check that a DALL-E speaks of the codes that a dVAE has.

    Raises:
        ModelError: with both sizes, if not.
    """
    spoken, made = (
        f"{config.grid_size} x {config.grid_size} places of {config.num_codes} codes"
        for config in (dalle.config, dvae.config)
    )
    if spoken != made:
        raise ModelError(
            f"{where}: the transformer draws {spoken}, and its dVAE has {made}; "
            "put back the dVAE that it was trained with"
        )
