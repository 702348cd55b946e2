"""An embedding that travels in front of parts comes back as it was, whatever the width of a part."""

import pytest
import torch

from limner.nn.parts import behind, carried, num_carriers, with_carried


@pytest.mark.parametrize(("embed_dim", "dim", "count"), [(6, 6, 1), (6, 4, 2), (6, 9, 1), (7, 3, 3)])
def test_an_embedding_travels_in_front_of_parts(embed_dim: int, dim: int, count: int) -> None:
    embeddings, vectors = torch.randn(2, embed_dim), torch.randn(2, 5, dim)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    parts = with_carried(embeddings, vectors, mask)
    assert num_carriers(embed_dim, dim) == count
    assert torch.equal(carried(parts, embed_dim), embeddings)
    assert torch.equal(parts.vectors[:, count:], vectors)
    rest = behind(parts, embed_dim)
    assert torch.equal(rest.vectors, vectors) and torch.equal(rest.mask, mask)
    assert parts.mask[:, :count].all() and torch.equal(parts.mask[:, count:], mask)
    assert with_carried(embeddings, vectors).mask.all(), "without a mask every part is real"
