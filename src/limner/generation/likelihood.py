"""How likely a text and a picture are to a DALL-E: log p(y) and log p(z | y), which Bayes' rule turns round."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limner.generation.memory import in_batches
from limner.losses.language import token_log_likelihoods
from limner.models.dalle import DALLE
from limner.types import PADDING_TOKEN, Tokens

__all__ = ["Likelihoods", "likelihoods"]


class Likelihoods(NamedTuple):
    """Of each pair, in nats: that of the text, that of the picture given the text; and how many tokens are said."""

    text: Float[Tensor, " pairs"]
    picture: Float[Tensor, " pairs"]
    num_tokens: Int[Tensor, " pairs"]


@torch.inference_mode()
def likelihoods(
    model: DALLE, tokens: Tokens, codes: Int[Tensor, "pairs places"], *, batch_size: int = 32
) -> Likelihoods:
    """Return the log-likelihoods of text i and picture i; that of no text at all is 0."""
    device = model.positions.device
    tokens = model.padded(tokens)
    text, picture = torch.empty(len(tokens)), torch.empty(len(tokens))

    def judge(rows: range) -> None:
        chosen = slice(rows.start, rows.stop)
        its_tokens, its_codes = tokens[chosen].to(device), codes[chosen].to(device)
        logits = model(its_tokens, its_codes)
        said = its_tokens[:, 1:]
        nats = token_log_likelihoods(logits.text, said).masked_fill(said == PADDING_TOKEN, 0)
        text[chosen] = nats.sum(dim=1).cpu()
        picture[chosen] = token_log_likelihoods(logits.picture, its_codes).sum(dim=1).cpu()

    in_batches(judge, len(tokens), batch_size)
    return Likelihoods(text, picture, (tokens[:, 1:] != PADDING_TOKEN).sum(dim=1))
