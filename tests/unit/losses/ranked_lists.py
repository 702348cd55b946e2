"""Lists to rank, and every loss over lists behind one signature: scores, grades, mask."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from limner.losses.contrastive import info_nce
from limner.losses.distillation import kl_from_teacher, margin_mse
from limner.losses.lambda_rank import lambda_rank
from limner.losses.listwise import approx_ndcg, list_mle, list_net, smooth_ap, softmax_cross_entropy
from limner.losses.pairwise import ranknet
from limner.losses.pointwise import relevance_cross_entropy

ListLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

LIST_LOSSES: dict[str, ListLoss] = {
    "approx_ndcg": approx_ndcg,
    "info_nce": lambda scores, grades, mask: info_nce(scores, grades > 0, mask),
    "kl_from_teacher": lambda scores, grades, mask: kl_from_teacher(scores, grades.to(scores.dtype), mask),
    "lambda_rank": lambda_rank,
    "lambda_rank_truncated": lambda scores, grades, mask: lambda_rank(scores, grades, mask, truncation=2),
    "list_mle": list_mle,
    "list_net": list_net,
    "margin_mse": lambda scores, grades, mask: margin_mse(scores, 9 * grades.to(scores.dtype), grades > 0, mask),
    "ranknet": ranknet,
    "relevance_cross_entropy": lambda scores, grades, mask: relevance_cross_entropy(scores, grades > 0, mask),
    "smooth_ap": lambda scores, grades, mask: smooth_ap(scores, grades > 0, mask, temperature=0.5),
    "softmax_cross_entropy": softmax_cross_entropy,
}

# Two lists, the second padded, whose losses other libraries have printed.
PUBLISHED_SCORES = torch.tensor([[0.3, -1.2, 2.1, 0.9], [1.5, 0.2, -0.4, math.nan]])
PUBLISHED_GRADES = torch.tensor([[2, 0, 1, 3], [0, 2, 1, 0]])
PUBLISHED_MASK = torch.tensor([[True] * 4, [True] * 3 + [False]])


def random_lists(seed: int, queries: int = 3, items: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(queries, items, generator=generator, dtype=torch.float64) * 2
    grades = torch.randint(0, 4, (queries, items), generator=generator)
    return scores, grades, torch.rand(queries, items, generator=generator) < 0.8


def published_gradient(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[float, Tensor]:
    """Return value and gradient, the seven real items in a row."""
    scores = PUBLISHED_SCORES.clone().requires_grad_()
    value = loss(scores, PUBLISHED_GRADES, PUBLISHED_MASK)
    value.backward()
    assert scores.grad is not None and scores.grad[1, 3] == 0
    return value.item(), scores.grad[PUBLISHED_MASK]
