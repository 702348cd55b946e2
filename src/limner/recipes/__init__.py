"""Recipes: whole training runs by name."""

from collections.abc import Callable

from limner.recipes.base import Run
from limner.recipes.clip import clip, clip_vit
from limner.recipes.dalle import dalle, dalle_fashion_mnist
from limner.recipes.dvae import dvae, dvae_fashion_mnist
from limner.recipes.fashion_mnist import clip_fashion_mnist
from limner.recipes.metric import metric
from limner.recipes.pictograms import (
    pictograms,
    pictograms_colours,
    pictograms_extractor,
    pictograms_joint,
    pictograms_pictures,
    pictograms_words,
)
from limner.recipes.ranking import ranking
from limner.recipes.stir import stir, stir_joint

__all__ = ["RECIPES"]

RECIPES: dict[str, Callable[[], Run]] = {
    "clip": clip,
    "clip-fashion-mnist": clip_fashion_mnist,
    "clip-vit": clip_vit,
    "dalle": dalle,
    "dalle-fashion-mnist": dalle_fashion_mnist,
    "dvae": dvae,
    "dvae-fashion-mnist": dvae_fashion_mnist,
    "metric": metric,
    "pictograms": pictograms,
    "pictograms-colours": pictograms_colours,
    "pictograms-extractor": pictograms_extractor,
    "pictograms-joint": pictograms_joint,
    "pictograms-pictures": pictograms_pictures,
    "pictograms-words": pictograms_words,
    "ranking": ranking,
    "stir": stir,
    "stir-joint": stir_joint,
}
