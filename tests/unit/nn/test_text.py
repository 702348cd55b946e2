import pytest
import torch

from limner.nn.text import TextConfig, TextTransformer
from limner.nn.transformer import TransformerConfig
from limner.types import PADDING_TOKEN

_LENGTH = 12


@pytest.fixture
def tower() -> TextTransformer:
    torch.manual_seed(0)
    sizes = TransformerConfig(dim=32, depth=2, num_heads=2)
    return TextTransformer(TextConfig(vocab_size=50, length=_LENGTH, token_dim=16, transformer=sizes)).double()


def _texts(count: int) -> torch.Tensor:
    tokens = torch.randint(3, 50, (count, _LENGTH))
    lengths = torch.randint(1, _LENGTH + 1, (count, 1))
    return tokens.masked_fill(torch.arange(_LENGTH) >= lengths, PADDING_TOKEN)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 35, 100])
def test_texts_grouped_by_length_have_the_features_and_gradients_of_texts_read_alone(
    tower: TextTransformer, count: int
) -> None:
    tokens, weight = _texts(count), torch.randn(count, 32).double()
    together = tower(tokens)
    alone = torch.cat([tower(text[None]) for text in tokens])
    torch.testing.assert_close(together, alone)
    parameters = list(tower.parameters())
    expected = torch.autograd.grad((alone * weight).sum(), parameters)
    for found, gradient in zip(torch.autograd.grad((together * weight).sum(), parameters), expected, strict=True):
        torch.testing.assert_close(found, gradient)


def test_a_long_text_among_short_ones_costs_the_short_ones_nothing(tower: TextTransformer) -> None:
    tokens = torch.full((64, _LENGTH), PADDING_TOKEN)
    tokens[:, :2] = 5
    tokens[40] = 7
    lengths: list[int] = []
    tower.transformer.register_forward_hook(lambda _, inputs, output: lengths.append(inputs[0].shape[1]))
    tower(tokens)
    assert sorted(lengths) == [2, 2, 2, _LENGTH]
