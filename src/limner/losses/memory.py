"""Items of past batches as more negatives (and positives): the one loss part that has state."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from limner.types import Embeddings

__all__ = ["EmbeddingMemory", "follow"]


class EmbeddingMemory(nn.Module):
    """The last `size` embeddings and their labels, in a ring.

    Cross-batch memory (https://arxiv.org/abs/1912.06798) keeps what the encoder itself said lately; a momentum queue
    (MoCo, https://arxiv.org/abs/1911.05722) keeps what a slower copy of it says, which `follow` moves along. Enqueue a
    batch before its loss is computed, so that the loss of the first batch too has something to rank:

        own = memory.enqueue(embeddings, labels)
        items, item_labels = memory.contents()
        scores = dot_product(embeddings, items)
        relevance = same_label(labels, item_labels)
        positives = without_self(relevance, own)

    Batches may be of any size, and differ. Where several processes train, enqueue the rows that were gathered from all
    of them, in the order of the ranks, and every process holds the same memory.
    """

    embeddings: Tensor
    labels: Tensor
    num_seen: Tensor

    def __init__(self, size: int, embed_dim: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"a memory holds at least one embedding, not {size}")
        self.register_buffer("embeddings", torch.zeros(size, embed_dim))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.long))
        self.register_buffer("num_seen", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        """Return how many embeddings are held."""
        return min(int(self.num_seen), len(self.labels))

    @torch.no_grad()
    def enqueue(self, embeddings: Embeddings, labels: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Put a batch in, without its gradient, over the oldest rows; return the place of each row.

        Of a batch larger than the memory only the last rows stay; the place of the others is -1.
        """
        size, batch = len(self.labels), len(labels)
        places = (self.num_seen + torch.arange(batch, device=self.labels.device)) % size
        kept = slice(max(batch - size, 0), None)
        self.embeddings[places[kept]] = embeddings[kept].to(self.embeddings.dtype)
        self.labels[places[kept]] = labels[kept].to(self.labels.dtype)
        self.num_seen += batch
        places[: kept.start] = -1
        return places

    def contents(self) -> tuple[Float[Tensor, "held embed_dim"], Int[Tensor, " held"]]:
        """Return copies of the embeddings and labels held, which a later `enqueue` does not change under a gradient."""
        held = len(self)
        return self.embeddings[:held].clone(), self.labels[:held].clone()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, *, momentum: float = 0.999) -> None:
    """Move a slow copy of a model along: slow <- m slow + (1 - m) fast; buffers are copied (MoCo, equation 2)."""
    for kept, parameter in zip(slow.parameters(), fast.parameters(), strict=True):
        kept.lerp_(parameter, 1 - momentum)
    for copied, buffer in zip(slow.buffers(), fast.buffers(), strict=True):
        copied.copy_(buffer)
