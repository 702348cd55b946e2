"""Sampling with a cache against a loop that reads everything anew for each code."""

import pytest
import torch
from tests.unit.models.test_dalle import KINDS, dalle
from torch import Tensor

from limner.errors import LimnerError
from limner.generation.autoregressive import Known, draw_codes, draw_texts
from limner.generation.likelihood import likelihoods
from limner.generation.sampling import Sampling, choose, guided, narrowed, noise_of
from limner.models.dalle import DALLE
from limner.types import END_TOKEN, PADDING_TOKEN, START_TOKEN

SEEDS = [(5, number) for number in range(6)]


def prompts() -> Tensor:
    """Six prompts, two of them twice, one of them none at all."""
    tokens = torch.randint(3, 50, (6, 6), generator=torch.Generator().manual_seed(2))
    tokens[1] = tokens[0]
    tokens[2, 4:] = PADDING_TOKEN
    tokens[3] = tokens[2]
    tokens[5] = PADDING_TOKEN
    return tokens


@torch.no_grad()
def slowly(model: DALLE, tokens: Tensor, how: Sampling, known: Known | None = None) -> Tensor:
    codes = torch.zeros(len(tokens), 16, dtype=torch.long)
    noise = noise_of(SEEDS, 16)
    for place in range(16):
        if known is not None and known.kept[place]:
            codes[:, place] = known.codes[place]
            continue
        logits = model(tokens, codes).picture[:, place]
        if how.guidance != 1:
            alone = model(torch.zeros_like(tokens), codes).picture[:, place]
            logits = guided(logits, alone, how.guidance)
        codes[:, place] = choose(narrowed(logits, how), noise[:, place])
    return codes


BOX = torch.zeros(4, 4, dtype=torch.bool)
BOX[1:3, 1:3] = True
PARTS = {"top": torch.arange(16) < 8, "left": torch.arange(16) % 4 < 2, "box": BOX.flatten()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guidance", [1.0, 3.0, 0.0])
def test_with_a_cache_the_same_codes_are_drawn_as_without(kind: str, guidance: float) -> None:
    model, how = dalle(KINDS[kind]), Sampling(guidance=guidance, top_k=15, top_p=0.95, temperature=0.8)
    expected = slowly(model, prompts(), how)
    assert torch.equal(draw_codes(model, prompts(), SEEDS, how), expected)
    assert len(expected.unique(dim=0)) == 6


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_started_picture_is_kept_and_the_rest_is_drawn_given_it(part: str, guidance: float) -> None:
    codes = torch.randint(0, 20, (16,), generator=torch.Generator().manual_seed(3))
    known, how = Known(codes=codes, kept=PARTS[part]), Sampling(guidance=guidance)
    found = draw_codes(dalle(), prompts(), SEEDS, how, known=known)
    assert (found[:, PARTS[part]] == codes[PARTS[part]]).all()
    assert torch.equal(found, slowly(dalle(), prompts(), how, known))


def test_a_picture_that_is_whole_stays_as_it_is() -> None:
    codes = torch.arange(16)
    known = Known(codes=codes, kept=torch.ones(16, dtype=torch.bool))
    assert (draw_codes(dalle(), prompts(), SEEDS, Sampling(), known=known) == codes).all()


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_a_seed_gives_the_same_picture_however_many_are_drawn_at_a_time(guidance: float, batch_size: int) -> None:
    how = Sampling(guidance=guidance)
    whole = draw_codes(dalle(), prompts(), SEEDS, how)
    assert torch.equal(draw_codes(dalle(), prompts(), SEEDS, how, batch_size=batch_size), whole)
    some = [4, 1]
    assert torch.equal(draw_codes(dalle(), prompts()[some], [SEEDS[row] for row in some], how), whole[some])


def test_another_seed_gives_another_picture() -> None:
    same = prompts()[:1].expand(6, -1)
    assert len(draw_codes(dalle(), same, SEEDS, Sampling()).unique(dim=0)) == 6


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_every_position_is_read_once(guidance: float) -> None:
    """The prompt at once, for each different text; then code by code, but the last; with guidance, twice as many."""
    model, read = dalle(), []
    model.transformer.register_forward_pre_hook(lambda _, inputs: read.append(tuple(inputs[0].shape[:2])))
    draw_codes(model, prompts(), SEEDS, Sampling(guidance=guidance))
    doubled = guidance != 1.0
    assert read == [(4 + doubled, 6)] + [(6 * (1 + doubled), 1)] * 15


def test_the_prompt_and_the_started_picture_of_the_caller_stay_as_they_are() -> None:
    tokens = prompts()
    known = Known(codes=torch.arange(16), kept=PARTS["top"].clone())
    draw_codes(dalle(), tokens, SEEDS, Sampling(guidance=3.0), known=known)
    assert torch.equal(tokens, prompts())
    assert torch.equal(known.codes, torch.arange(16)) and torch.equal(known.kept, PARTS["top"])


def test_guidance_reads_the_prompt_to_the_last_code() -> None:
    """With a prompt and with none, the logits differ at every code, not at the first alone."""
    model, gaps = dalle(), []
    plain = model.picture_logits

    def watched(features: Tensor) -> Tensor:
        logits = plain(features)
        gaps.append((logits[0] - logits[1]).abs().max().item())
        return logits

    model.picture_logits = watched
    draw_codes(model, prompts()[:1], SEEDS[:1], Sampling(guidance=2.0))
    assert len(gaps) == 16 and min(gaps) > 1e-2


def test_drawing_is_watched_row_by_row() -> None:
    told: list[tuple[range, int]] = []
    last: dict[range, Tensor] = {}

    def watch(rows: range, codes: Tensor, num_drawn: int) -> None:
        told.append((rows, num_drawn))
        last[rows] = codes

    found = draw_codes(dalle(), prompts(), SEEDS, Sampling(), batch_size=4, watch=watch)
    assert told == [(rows, count) for rows in (range(4), range(4, 6)) for count in (4, 8, 12, 16)]
    assert torch.equal(torch.cat([last[range(4)], last[range(4, 6)]]), found)


def starve(model: DALLE, most: int, error: Exception) -> list[int]:
    """Let a model run out of memory where it reads more than `most` sequences; return how many it was asked to."""
    asked: list[int] = []
    plain = model.cache

    def cache(batch_size: int):
        asked.append(batch_size)
        if batch_size > most:
            raise error
        return plain(batch_size)

    model.cache = cache
    return asked


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    ],
)
def test_where_memory_does_not_suffice_fewer_are_drawn_at_a_time(error: Exception) -> None:
    whole = draw_codes(dalle(), prompts(), SEEDS, Sampling())
    model = dalle()
    asked = starve(model, 2, error)
    assert torch.equal(draw_codes(model, prompts(), SEEDS, Sampling()), whole)
    assert asked == [4, 2, 3, 1, 1, 1]


def test_memory_for_not_even_one_is_said_in_a_sentence() -> None:
    model = dalle()
    starve(model, 0, MemoryError())
    with pytest.raises(LimnerError, match="single picture"):
        draw_codes(model, prompts(), SEEDS, Sampling())


def test_other_errors_are_not_taken_for_want_of_memory() -> None:
    model = dalle()
    asked = starve(model, 0, RuntimeError("sizes do not match"))
    with pytest.raises(RuntimeError, match="sizes"):
        draw_codes(model, prompts(), SEEDS, Sampling())
    assert len(asked) == 1


def test_gradients_and_threads_of_the_process_are_left_alone() -> None:
    threads = torch.get_num_threads()
    draw_codes(dalle(), prompts(), SEEDS, Sampling())
    assert torch.is_grad_enabled() and torch.get_num_threads() == threads


def test_no_prompt_draws_nothing() -> None:
    assert draw_codes(dalle(), prompts()[:0], [], Sampling()).shape == (0, 16)


@pytest.mark.parametrize("batch_size", [2, 64])
def test_texts_are_drawn_as_without_a_cache(batch_size: int) -> None:
    model, how = dalle(), Sampling(temperature=0.7)
    model.text_bias[END_TOKEN] += 3  # so that texts end
    found = draw_texts(model, SEEDS, how, batch_size=batch_size)
    noise = noise_of(SEEDS, 6)
    for row, tokens in enumerate(found):
        read = torch.full((1, 6), PADDING_TOKEN)
        read[0, 0] = START_TOKEN
        for place in range(1, 6):
            if END_TOKEN in read[0]:
                break
            logits = model(read, torch.zeros(1, 16, dtype=torch.long)).text[:, place - 1]
            logits[:, :2] = float("-inf")
            read[0, place] = choose(narrowed(logits, how), noise[row : row + 1, place])
        assert torch.equal(tokens, read[0])
    assert (found == END_TOKEN).any() and len(found.unique(dim=0)) > 2


def test_likelihoods_are_the_sums_of_what_each_step_says() -> None:
    model, tokens = dalle(), prompts()
    codes = torch.randint(0, 20, (6, 16), generator=torch.Generator().manual_seed(4))
    found = likelihoods(model, tokens, codes, batch_size=4)
    logits = model(tokens, codes)
    for row in range(6):
        words = [
            logits.text[row, place - 1].log_softmax(0)[tokens[row, place]].item()
            for place in range(1, 6)
            if tokens[row, place] != PADDING_TOKEN
        ]
        drawn = [logits.picture[row, place].log_softmax(0)[codes[row, place]].item() for place in range(16)]
        assert found.text[row].item() == pytest.approx(sum(words), abs=1e-4)
        assert found.picture[row].item() == pytest.approx(sum(drawn), abs=1e-4)
        assert found.num_tokens[row] == len(words)
    assert found.text[5] == 0
