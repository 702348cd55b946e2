from dataclasses import replace

import pytest
import torch
from torch import Tensor

from limner.models.dalle import DALLE, DALLEConfig, WordsConfig
from limner.nn.meaning import MeaningConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.types import PADDING_TOKEN

MEANING = MeaningConfig(
    text=TextConfig(vocab_size=50, length=5, token_dim=4, transformer=TransformerConfig(dim=8, depth=1, num_heads=2)),
    embed_dim=12,
)
SMALL = DALLEConfig(
    text=WordsConfig(vocab_size=50, length=6, token_dim=8),
    num_codes=20,
    grid_size=4,
    transformer=TransformerConfig(dim=32, depth=5, num_heads=2),
    kernel_size=3,
)
KINDS = {
    "the paper's": SMALL,
    "full": replace(SMALL, attention=("full",), last_attention="full"),
    "row": replace(SMALL, attention=("row",), last_attention="row"),
    "column": replace(SMALL, attention=("column",), last_attention="column"),
    "convolution": replace(SMALL, attention=("convolution",)),
    "with a meaning": replace(SMALL, meaning=MEANING),
}


def dalle(config: DALLEConfig = SMALL) -> DALLE:
    torch.manual_seed(0)
    model = DALLE(config).eval().requires_grad_(False)
    for parameter in model.parameters():  # far from the small numbers of the start, so that differences show
        parameter.mul_(3) if parameter.ndim > 1 else None
    return model


def some(batch_size: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, 50, (batch_size, 6), generator=generator)
    tokens[0, 3:] = PADDING_TOKEN
    return tokens, torch.randint(0, 20, (batch_size, 16), generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_read_step_by_step_with_a_cache_is_read_at_once(kind: str) -> None:
    model, (tokens, codes) = dalle(KINDS[kind]), some()
    expected = model(tokens, codes)
    cache = model.cache(3)
    for place in range(5):
        said = model.text_logits(model.read(cache, tokens=tokens[:, place : place + 1]))
        torch.testing.assert_close(said, expected.text[:, place], atol=1e-5, rtol=1e-5)
    if model.meaning is not None:  # is of the whole text
        cache, tokens = model.cache(3), torch.cat([tokens[:, :5], tokens], dim=1)
    features = model.read(cache, tokens=tokens[:, 5:])
    for place in range(16):
        torch.testing.assert_close(model.picture_logits(features), expected.picture[:, place], atol=1e-5, rtol=1e-5)
        features = model.read(cache, codes=codes[:, place : place + 1])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_known_before_it_is_said(kind: str) -> None:
    model, (tokens, codes) = dalle(KINDS[kind]), some()
    before = model(tokens, codes)
    changed = codes.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 20
    after = model(tokens, changed)
    assert torch.equal(after.text, before.text)
    torch.testing.assert_close(after.picture[:, :8], before.picture[:, :8])
    assert not torch.allclose(after.picture[:, 8:], before.picture[:, 8:])
    other = tokens.clone()
    other[:, 2] = (other[:, 2] + 1) % 40 + 3
    later = model(other, codes)
    torch.testing.assert_close(later.text[:, :2], before.text[:, :2])
    assert (later.picture != before.picture).any(dim=2).all(), "every place of the picture sees the text"


def test_logits_are_of_one_vocabulary_each() -> None:
    found = dalle()(*some())
    assert found.text.shape == (3, 5, 50) and found.picture.shape == (3, 16, 20)


def test_padding_is_learned_for_each_position() -> None:
    model, (tokens, codes) = dalle(), some()
    before = model(tokens, codes).picture
    model.padding[4] += 1.0
    changed = model(tokens, codes).picture
    assert not torch.allclose(changed[0], before[0]) and torch.equal(changed[1:], before[1:])
    model.tokens.weight[PADDING_TOKEN] += 1.0
    torch.testing.assert_close(model(tokens, codes).picture, changed)


def test_a_shorter_text_is_padded() -> None:
    model, (tokens, codes) = dalle(), some()
    short, long = model(tokens[:1, :3], codes[:1]), model(tokens[:1], codes[:1])
    assert torch.equal(short.picture, long.picture) and torch.equal(short.text, long.text)


def test_what_a_text_means_is_for_the_picture_alone() -> None:
    model, (tokens, codes) = dalle(KINDS["with a meaning"]), some()
    assert model.meaning is not None
    tokens[2] = PADDING_TOKEN
    before = model(tokens, codes)
    model.meaning.text_projection.weight.neg_()
    after = model(tokens, codes)
    assert torch.equal(after.text, before.text)
    assert (after.picture[:2] != before.picture[:2]).any(dim=2).all(), "every place sees it"
    assert torch.equal(after.picture[2], before.picture[2]), "no text means nothing"


def test_the_clip_that_says_what_a_text_means_is_frozen() -> None:
    model, (tokens, codes) = dalle(KINDS["with a meaning"]).requires_grad_(True), some()
    model(tokens, codes).picture.sum().backward()
    assert model.meaning is not None
    learning = {name for name, parameter in model.meaning.named_parameters() if parameter.grad is not None}
    assert learning == {"widen.weight", "widen.bias"}


def test_inputs_are_left_as_they_are() -> None:
    model, (tokens, codes) = dalle(), some()
    kept = tokens.clone(), codes.clone()
    model(tokens, codes)
    model.read(model.cache(3), tokens=tokens)
    assert torch.equal(tokens, kept[0]) and torch.equal(codes, kept[1])


def test_the_last_block_differs_from_the_repeated_ones() -> None:
    assert dalle().attention == ["row", "column", "row", "row", "convolution"]
    deep = replace(SMALL, transformer=replace(SMALL.transformer, depth=64))
    with torch.device("meta"):
        kinds = DALLE(deep).attention
    columns = [block for block, kind in enumerate(kinds, start=1) if kind == "column"]
    assert columns == [block for block in range(1, 64) if (block - 2) % 4 == 0] and kinds[63] == "convolution"


def test_no_kind_of_attention_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        DALLEConfig(attention=())
