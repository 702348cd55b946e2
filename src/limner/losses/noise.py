"""Noise: from which distribution over a collection negatives are drawn.

A distribution is a table of log q(d), one row for all queries or one row each; a collection of a million items costs
eight megabytes a row.
"""

import math

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

__all__ = ["draw", "even_batch", "from_index", "in_batch", "log_probability", "uniform", "unigram"]

LogQTable = Float[Tensor, "rows items"]


def uniform(num_items: int) -> LogQTable:
    """Return q(d) = 1 / N."""
    return torch.full((1, num_items), -math.log(num_items), dtype=torch.float64)


def even_batch(
    scores: Float[Tensor, "queries samples"], num_items: int
) -> tuple[Float[Tensor, " queries"], Float[Tensor, " samples"], Float[Tensor, " queries"]]:
    """Return log q of each query's own item, log q of the k items scored, and the `share` of its own in the noise.

    Each item stands in an epoch once, so a batch is drawn from q(d) = 1 / N. A query's own item is never among
    its noise; noise losses are told k q(d), how often it should have been, without which its score would have no bound.
    """
    own, log_q = (scores.new_full((count,), -math.log(num_items)) for count in scores.shape)
    return own, log_q, own.exp() * scores.shape[1]


def unigram(counts: Real[Tensor, " items"], power: float = 0.75) -> LogQTable:
    """Return q(d) in proportion to counts^power (word2vec's 0.75, https://arxiv.org/abs/1310.4546).

    Raises:
        ValueError: if no item was ever seen.
    """
    if not bool((counts > 0).any()):
        raise ValueError("no count is above 0; count how often each item occurs")
    weights = power * counts.double().log()
    return weights.masked_fill(counts == 0, float("-inf")).log_softmax(dim=0)[None, :]


def in_batch(ids: Int[Tensor, " batch"], num_items: int) -> LogQTable:
    """Return q(d) = how often d stands in the batch: noise that costs nothing, for its embeddings are there."""
    return unigram(torch.bincount(ids, minlength=num_items), power=1.0)


def from_index(
    ids: Int[Tensor, "rows hits"],
    scores: Float[Tensor, "rows hits"],
    num_items: int,
    *,
    temperature: float = 1.0,
    uniform_rate: float = 0.1,
) -> LogQTable:
    r"""Return hard noise: what an index answers to each query, softened by a share of uniform noise.

    .. math:: q(d) = \frac{r}{N} + (1 - r) \frac{e^{s_d / \tau}}{\sum_{h} e^{s_h / \tau}} [d \in \text{hits}]

    The share keeps q(d) above 0 everywhere, without which importance weights would have no bound and a positive that
    the index missed no correction. A row's ids differ from each other.
    """
    weights = torch.zeros(len(ids), num_items, dtype=torch.float64, device=ids.device)
    weights.scatter_(1, ids, (scores.double() / temperature).softmax(dim=1) * (1 - uniform_rate))
    return (weights + uniform_rate / num_items).log()


def draw(
    log_q: LogQTable, num_samples: int, generator: torch.Generator, *, num_queries: int | None = None
) -> tuple[Int[Tensor, "queries samples"], Float[Tensor, "queries samples"]]:
    """Draw ids with replacement, and return them with their log q.

    Each row of the table draws for its query. From a table of one row, `num_queries` queries draw each for itself; left
    out, one sample is drawn that all queries share.

    Raises:
        ValueError: if a table of several rows is asked for another number of queries.
    """
    num_queries = len(log_q) if num_queries is None else num_queries
    if len(log_q) not in (1, num_queries):
        raise ValueError(f"the noise has {len(log_q)} rows, but there are {num_queries} queries")
    per_row = num_samples * num_queries // len(log_q)
    drawn = torch.multinomial(log_q.exp(), per_row, replacement=True, generator=generator)
    return drawn.view(num_queries, num_samples), log_q.gather(1, drawn).view(num_queries, num_samples)


def log_probability(log_q: LogQTable, ids: Int[Tensor, "queries samples"]) -> Float[Tensor, "queries samples"]:
    """Return log q of given ids, such as those of the positives."""
    return log_q.expand(len(ids), -1).gather(1, ids)
