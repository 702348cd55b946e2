import pytest
import torch
from torch import Tensor

from limner.nn.attention_masks import attention_mask
from limner.nn.key_value_cache import KeyValueCache
from limner.nn.transformer import SelfAttention, Transformer, TransformerConfig

LENGTH = 3 + 16
CONFIG = TransformerConfig(dim=32, depth=4, num_heads=2)
MASKS = [
    attention_mask(kind, text_length=3, grid_size=4, kernel_size=3)[None]
    for kind in ("row", "column", "full", "convolution")
]


def cache(batch_size: int) -> KeyValueCache:
    return KeyValueCache.empty(
        depth=4, batch_size=batch_size, num_heads=2, capacity=LENGTH, head_dim=16, like=torch.zeros(())
    )


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).eval().requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, LENGTH, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pieces", [[1] * LENGTH, [3, 1, 5, 10], [LENGTH]])
def test_read_in_pieces_is_read_at_once(transformer: Transformer, x: Tensor, pieces: list[int]) -> None:
    kept, found, start = cache(2), [], 0
    for piece in pieces:
        rows = [mask[:, start : start + piece, : start + piece] for mask in MASKS]
        found.append(transformer(x[:, start : start + piece], rows, kept))
        start += piece
    assert kept.num_read == LENGTH
    torch.testing.assert_close(torch.cat(found, dim=1), transformer(x, MASKS), atol=1e-5, rtol=1e-5)


def test_a_copy_of_a_cache_goes_its_own_way(transformer: Transformer, x: Tensor) -> None:
    kept = cache(2)
    rows = [mask[:, :5, :5] for mask in MASKS]
    transformer(x[:, :5], rows, kept)
    before = kept.keys[:, :, :, :5].clone()
    copy = kept.take(torch.tensor([1, 0, 1]))
    step = [mask[:, 5:6, :6] for mask in MASKS]
    swapped = transformer(x[[1, 0, 1], 5:6], step, copy)
    assert (kept.num_read, copy.num_read) == (5, 6) and torch.equal(kept.keys[:, :, :, :5], before)
    torch.testing.assert_close(swapped[:2].flip(0), transformer(x[:, 5:6], step, kept), atol=1e-5, rtol=1e-5)


def test_each_block_has_its_own_mask(transformer: Transformer, x: Tensor) -> None:
    one = transformer(x, MASKS[0])
    torch.testing.assert_close(one, transformer(x, [MASKS[0]] * 4))
    assert not torch.allclose(one, transformer(x, MASKS))
    with pytest.raises(ValueError, match="zip"):
        transformer(x, MASKS[:2])


@pytest.mark.parametrize("is_padded", [False, True])
def test_attention_in_bfloat16_is_the_same_on_the_way_to_gradients(x: Tensor, is_padded: bool) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(CONFIG).bfloat16()
    mask = torch.arange(LENGTH).expand(2, -1) < torch.tensor([[4], [LENGTH]]) if is_padded else MASKS[0]
    learning = attention(x.bfloat16(), mask)
    with torch.no_grad():
        fused = attention(x.bfloat16(), mask)
    torch.testing.assert_close(learning, fused, atol=1e-2, rtol=1e-2)
    learning.float().pow(2).sum().backward()
    found = [parameter.grad.float() for parameter in attention.parameters() if parameter.grad is not None]
    exact = SelfAttention(CONFIG)
    exact.load_state_dict(attention.float().state_dict())
    exact(x.bfloat16().float(), mask).pow(2).sum().backward()
    for half, parameter in zip(found, exact.parameters(), strict=True):
        assert parameter.grad is not None
        assert torch.linalg.vector_norm(half - parameter.grad) < 0.02 * torch.linalg.vector_norm(parameter.grad)
