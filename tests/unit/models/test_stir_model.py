"""What cached STIR computes from kept tokens is what one stack of layers computes from both pictures at once."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.models.stir import STIR, STIRConfig, build_stir
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualStage
from limner.nn.parts import behind
from limner.nn.transformer import TransformerConfig
from limner.nn.trunks import VisionConfig
from limner.nn.vision import VisionTransformerConfig

DEPTH = 3
VIT = VisionTransformerConfig(
    image_size=16, patch_size=8, transformer=TransformerConfig(dim=32, depth=DEPTH, num_heads=2)
)
CONVOLUTION = InvertedResidualConfig(
    image_size=16, stem_dim=8, head_dim=32, stages=(InvertedResidualStage(dim=12, num_blocks=2, stride=1),)
)


def stir(num_separate: int, *, is_symmetric: bool = False) -> STIR:
    torch.manual_seed(0)
    config = STIRConfig(vision=VIT, num_separate=num_separate, embed_dim=24, is_symmetric=is_symmetric)
    model = build_stir(config).eval()
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def some_images(seed: int) -> Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def from_pixels(model: STIR, first: Tensor, second: Tensor) -> Tensor:
    """Both pictures go through all layers in one sequence; a mask keeps them apart in the first ones."""
    one, other = model.vision.embed(first), model.vision.embed(second)
    length, alone = one.shape[1], model.config.num_separate
    side = torch.arange(2 * length) >= length
    apart = (side[:, None] == side[None, :]).expand(len(first), -1, -1)
    x = torch.cat([one, other], dim=1)
    for number, block in enumerate(model.vision.transformer.blocks):
        if number == alone:
            x = x + torch.where(side[:, None], model.sides[1], model.sides[0])
        x = block(x, apart if number < alone else None)
    x = model.vision.transformer.norm(x)
    a, b = x[:, :length].mean(dim=1), x[:, length:].mean(dim=1)
    compared = torch.cat([(a + b) / 2, a * b, (a - b).abs()], dim=1)
    vectors = [functional.normalize(model.image_projection(model.vision(each)), dim=1) for each in (first, second)]
    cosine = (vectors[0] * vectors[1]).sum(dim=1)
    return (cosine - model.cosine_threshold) * model.cosine_scale.exp() + model.head(compared)[:, 0]


@pytest.mark.parametrize("num_separate", range(DEPTH + 1))
def test_cached_equals_uncached_at_every_number_of_separate_layers(num_separate: int) -> None:
    model, first, second = stir(num_separate), some_images(1), some_images(2)
    found = model.pair_scores(model.picture_parts(first), model.picture_parts(second))
    torch.testing.assert_close(found, from_pixels(model, first, second), atol=1e-4, rtol=1e-4)
    assert found.std() > 1e-3


@pytest.mark.parametrize("num_separate", range(DEPTH + 1))
def test_the_symmetric_score_is_the_mean_of_both_orders(num_separate: int) -> None:
    model, first, second = stir(num_separate, is_symmetric=True), some_images(1), some_images(2)
    orders = [from_pixels(model, first, second), from_pixels(model, second, first)]
    found = model.pair_scores(model.picture_parts(first), model.picture_parts(second))
    torch.testing.assert_close(found, (orders[0] + orders[1]) / 2, atol=1e-4, rtol=1e-4)
    assert torch.allclose(*orders, atol=3e-4) == (num_separate == DEPTH), (
        "only where both are read jointly does the order matter"
    )


def test_identical_pictures_score_alike_wherever_they_stand() -> None:
    model = stir(1, is_symmetric=True)
    same = some_images(1)[:1].expand(4, -1, -1, -1)
    parts = model.picture_parts(same)
    scores = model.all_scores(parts, parts)
    torch.testing.assert_close(scores, scores[:1, :1].expand(4, 4), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("vision", [VIT, CONVOLUTION], ids=["vit", "convolution"])
@torch.no_grad()
def test_the_local_form_seeks_each_token_in_the_other_picture(vision: VisionConfig) -> None:
    """Against a loop over the tokens of both pictures."""
    torch.manual_seed(0)
    model = build_stir(STIRConfig(form="local", vision=vision, embed_dim=24)).train()
    model.picture_parts(some_images(3))  # the spread of the tokens is learned from pictures seen
    model.eval()
    first, second = model.picture_parts(some_images(1)), model.picture_parts(some_images(2))
    found = model.pair_scores(first, second)
    for i in range(5):
        one, other = (behind(parts, model.config.embed_dim).vectors[i] for parts in (first, second))
        nearest = [max(float(a @ b) for b in other) for a in one], [max(float(a @ b) for a in one) for b in other]
        local = sum(sum(side) / len(side) for side in nearest) / 2
        cosine = float((model.embeddings(first)[i] * model.embeddings(second)[i]).sum())
        expected = (cosine - model.cosine_threshold) * model.cosine_scale.exp()
        expected = expected + (local - model.local_threshold) * model.local_scale.exp()
        torch.testing.assert_close(found[i], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.pair_scores(second, first), found)
    assert (model.pair_scores(first, first) > found).all()


def test_the_local_form_reads_no_deeper_than_the_trunk() -> None:
    with pytest.raises(ValueError, match="local_depth 4 is more than the 3 blocks"):
        STIRConfig(form="local", vision=VIT, local_depth=DEPTH + 1)
