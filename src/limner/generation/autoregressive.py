"""Sampling from a DALL-E: a prompt is read once, and codes are drawn one by one, with all that was read kept.

What is drawn with a seed does not depend on how many are drawn at a time (but for ties within rounding).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from limner.generation.memory import in_batches
from limner.generation.sampling import Sampling, choose, guided, narrowed, noise_of
from limner.models.dalle import DALLE
from limner.nn.key_value_cache import KeyValueCache
from limner.types import END_TOKEN, PADDING_TOKEN, START_TOKEN, Tokens

__all__ = ["Known", "Watch", "draw_codes", "draw_texts"]

Watch = Callable[[range, Int[Tensor, "batch places"], int], None]
"""Called after each row of a batch: which pictures, their codes so far, and how many places of them are there."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A started picture: its codes, and which of them stay as they are."""

    codes: Int[Tensor, " places"]
    kept: Bool[Tensor, " places"]


@torch.inference_mode()
def draw_codes(
    model: DALLE,
    prompts: Tokens,
    seeds: Sequence[tuple[int, ...]],
    how: Sampling,
    *,
    known: Known | None = None,
    batch_size: int = 32,
    watch: Watch | None = None,
) -> Int[Tensor, "batch places"]:
    """Return the codes of a picture for each prompt, drawn with its seed.

    Equal prompts are read once. With guidance, each code is drawn from logits with and without the prompt, both from
    one cache. `known` codes are kept and the others drawn in the order of reading, each given all before it.

    Raises:
        LimnerError: if memory does not suffice for one picture at a time; a larger batch is halved by itself.
    """
    found = torch.zeros(len(prompts), model.num_places, dtype=torch.long)

    def draw(rows: range) -> None:
        chosen = slice(rows.start, rows.stop)
        noise = noise_of(seeds[chosen], model.num_places)

        def tell(codes: Int[Tensor, "batch places"], num_drawn: int) -> None:
            if watch is not None:
                watch(rows, codes, num_drawn)

        found[chosen] = _draw(model, prompts[chosen], noise, how, known, tell)

    in_batches(draw, len(prompts), batch_size)
    return found


def _draw(
    model: DALLE,
    prompts: Tokens,
    noise: Float64[Tensor, "batch places"],
    how: Sampling,
    known: Known | None,
    tell: Callable[[Int[Tensor, "batch places"], int], None],
) -> Int[Tensor, "batch places"]:
    device, places = model.positions.device, model.num_places
    codes = torch.zeros(len(prompts), places, dtype=torch.long, device=device)
    kept = [False] * places
    if known is not None:
        codes[:] = known.codes.masked_fill(~known.kept, 0).to(device)
        kept = known.kept.tolist()
    noise = noise.to(device)
    features, cache, is_double = _read_prompts(model, prompts.to(device), how)
    num_read = 0
    for place in range(places):
        if not kept[place]:
            if num_read < place:
                unread = codes[:, num_read:place]
                features = model.read(cache, codes=unread.repeat(2, 1) if is_double else unread)
                num_read = place
            logits = model.picture_logits(features)
            if is_double:
                prompted, alone = logits.chunk(2)
                logits = guided(prompted, alone, how.guidance)
            codes[:, place] = choose(narrowed(logits, how), noise[:, place])
        if (place + 1) % model.config.grid_size == 0:
            tell(codes.cpu(), place + 1)
    return codes.cpu()


def _read_prompts(
    model: DALLE, prompts: Tokens, how: Sampling
) -> tuple[Float[Tensor, "sequences dim"], KeyValueCache, bool]:
    """Read each different prompt once; with guidance, as many sequences without any stand behind those of prompts."""
    different, which = model.padded(prompts).unique(dim=0, return_inverse=True)
    is_double = how.guidance not in (0.0, 1.0)
    if is_double:
        which = torch.cat([which, torch.full_like(which, len(different))])
        different = torch.cat([different, model.no_text(1)])
    elif how.guidance == 0:
        different, which = model.no_text(1), torch.zeros_like(which)
    cache = model.cache(len(different))
    features = model.read(cache, tokens=different)
    return features[which], cache.take(which), is_double


@torch.inference_mode()
def draw_texts(model: DALLE, seeds: Sequence[tuple[int, ...]], how: Sampling, *, batch_size: int = 64) -> Tokens:
    """Return a text for each seed, drawn from p(y): the start token, words, the end token, padding."""
    length, device = model.config.text.length, model.positions.device
    found = torch.full((len(seeds), length), PADDING_TOKEN)

    def draw(rows: range) -> None:
        noise = noise_of(seeds[rows.start : rows.stop], length).to(device)
        tokens = torch.full((len(rows), length), PADDING_TOKEN, device=device)
        tokens[:, 0] = START_TOKEN
        cache = model.cache(len(rows))
        for place in range(1, length):
            logits = model.text_logits(model.read(cache, tokens=tokens[:, place - 1 : place]))
            logits[:, [PADDING_TOKEN, START_TOKEN]] = float("-inf")
            is_over = (tokens[:, :place] == END_TOKEN).any(dim=1)
            tokens[:, place] = choose(narrowed(logits, how), noise[:, place]).masked_fill(is_over, PADDING_TOKEN)
        found[rows.start : rows.stop] = tokens.cpu()

    in_batches(draw, len(seeds), batch_size)
    return found
