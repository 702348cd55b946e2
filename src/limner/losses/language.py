"""What a model of sequences loses on each of their tokens."""

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from limner.losses.reduction import mean_where
from limner.types import Scalar

__all__ = ["token_cross_entropy", "token_log_likelihoods"]


def token_log_likelihoods(
    logits: Float[Tensor, "batch length vocab"], tokens: Int[Tensor, "batch length"]
) -> Float[Tensor, "batch length"]:
    r"""Return the log-probability of each token, in nats.

    .. math:: \log p_i = s_{i t_i} - \log \sum_v e^{s_{iv}}
    """
    nats = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none")
    return -nats.view(tokens.shape)


def token_cross_entropy(
    logits: Float[Tensor, "batch length vocab"],
    tokens: Int[Tensor, "batch length"],
    counted: Bool[Tensor, "batch length"] | None = None,
) -> Scalar:
    r"""Mean over the counted tokens of their negative log-probability, in nats a token.

    .. math:: L = -\frac{1}{|C|} \sum_{i \in C} \log p_i
    """
    nats = -token_log_likelihoods(logits, tokens)
    return nats.mean() if counted is None else mean_where(nats, counted)
