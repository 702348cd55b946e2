"""What a model of sequences loses on each of their tokens."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from limner.types import Scalar

__all__ = ["token_cross_entropy", "token_log_likelihoods"]


def token_log_likelihoods(
    logits: Float[Tensor, "*places vocab"], tokens: Int[Tensor, "*places"]
) -> Float[Tensor, "*places"]:
    r"""Return the log-probability of each token, in nats.

    .. math:: \log p_i = s_{i t_i} - \log \sum_v e^{s_{iv}}
    """
    nats = functional.cross_entropy(logits.flatten(0, -2), tokens.flatten(), reduction="none")
    return -nats.view(tokens.shape)


def token_cross_entropy(logits: Float[Tensor, "*places vocab"], tokens: Int[Tensor, "*places"]) -> Scalar:
    r"""Mean over the tokens of their negative log-probability, in nats a token; of none it is 0, with a gradient of 0.

    .. math:: L = -\frac{1}{n} \sum_i \log p_i
    """
    return -token_log_likelihoods(logits, tokens).sum() / max(tokens.numel(), 1)
