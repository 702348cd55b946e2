import pytest
import torch
from torch import Tensor
from torch.nn import functional

from limner.nn.codebooks import (
    Codebook,
    CodebookConfig,
    CosineCodebook,
    CosineCodebookConfig,
    DenseCodebook,
    DenseCodebookConfig,
    FiniteScalarCodebook,
    FiniteScalarCodebookConfig,
    NearestCodebook,
    NearestCodebookConfig,
    build_codebook,
)

CONFIGS: dict[str, CodebookConfig] = {
    "cosine": CosineCodebookConfig(feature_dim=4),
    "dense": DenseCodebookConfig(),
    "finite_scalar": FiniteScalarCodebookConfig(levels=(4, 3, 2)),
    "nearest": NearestCodebookConfig(feature_dim=6),
}
NUM_CODES, FEATURE_DIM, CODE_DIM = 24, 10, 5


def build(kind: str) -> Codebook:
    torch.manual_seed(0)
    return build_codebook(CONFIGS[kind], feature_dim=FEATURE_DIM, num_codes=NUM_CODES, code_dim=CODE_DIM)


def some_features(batch: int = 3, side: int = 4) -> Tensor:
    return torch.randn(batch, FEATURE_DIM, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_codes_are_in_range_and_their_vectors_have_the_width_of_the_decoder(kind: str) -> None:
    codebook = build(kind).eval()
    codes = codebook.codes(some_features())
    assert codes.shape == (3, 4, 4) and int(codes.min()) >= 0 and int(codes.max()) < NUM_CODES
    assert codebook.vectors(codes).shape == (3, CODE_DIM, 4, 4)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_hard_training_vectors_are_vectors_of_codes(kind: str) -> None:
    """What the decoder is given in training, once the temperature is low, is what it is given afterwards."""
    codebook = build(kind).eval().requires_grad_(False)
    vectors = codebook(some_features(), 0.5, hard=True).vectors.permute(0, 2, 3, 1).reshape(-1, 1, CODE_DIM)
    table = codebook.vectors(torch.arange(NUM_CODES)[:, None, None])[:, :, 0, 0]
    assert float((vectors - table).abs().amax(dim=2).min(dim=1).values.max()) < 1e-4


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_gradients_reach_the_features_and_every_parameter(kind: str) -> None:
    codebook, features = build(kind), some_features().requires_grad_()
    found = codebook(features, 0.7)
    (found.vectors * torch.randn_like(found.vectors)).sum().backward()
    assert features.grad is not None and bool(features.grad.abs().sum(dim=(1, 2, 3)).gt(0).all())
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in codebook.parameters())


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_the_answer_is_computed_in_full_precision_under_autocast(kind: str) -> None:
    codebook = build(kind).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = codebook.codes(some_features())
    assert torch.equal(codes, codebook.codes(some_features()))


def test_dense_logits_are_a_linear_map() -> None:
    codebook = build("dense")
    assert isinstance(codebook, DenseCodebook)
    features = some_features()
    expected = functional.conv2d(features, codebook.head.weight[:, :, None, None], codebook.head.bias)
    torch.testing.assert_close(codebook.logits(features), expected.permute(0, 2, 3, 1))


def test_cosine_logits_are_scaled_cosines_of_features_spread_over_the_batch() -> None:
    codebook = build("cosine")
    assert isinstance(codebook, CosineCodebook)
    features = some_features()
    logits = codebook.logits(features)
    x = codebook.project(features.permute(0, 2, 3, 1))
    x = (x - x.mean(dim=(0, 1, 2))) / (x.var(dim=(0, 1, 2), unbiased=False) + 1e-5).sqrt()
    for code in (0, 7, 23):
        expected = 10 * functional.cosine_similarity(x[1, 2, 3], codebook.directions[code], dim=0)
        assert logits[1, 2, 3, code].item() == pytest.approx(expected.item(), abs=1e-4)


def test_cosine_logits_do_not_grow_with_the_features_or_past_the_largest_scale() -> None:
    codebook = build("cosine")
    assert isinstance(codebook, CosineCodebook)
    with torch.no_grad():
        codebook.project.bias.zero_()
        grown = codebook.logits(9 * some_features())
        torch.testing.assert_close(grown, codebook.logits(some_features()), atol=1e-3, rtol=0)
        codebook.log_scale.fill_(50.0)
        assert float(codebook.logits(some_features()).abs().max()) <= 100.001


def test_what_all_features_have_in_common_chooses_no_code() -> None:
    codebook = build("cosine")
    features = some_features()
    common = 50 * torch.randn(features.shape[1])[None, :, None, None]
    torch.testing.assert_close(codebook.codes(features + common), codebook.codes(features))


def test_the_nearest_code_is_the_nearest() -> None:
    codebook = build("nearest").eval()
    assert isinstance(codebook, NearestCodebook)
    features = some_features()
    x = codebook.project(features.permute(0, 2, 3, 1))
    distances = torch.stack([(x - centre).square().sum(dim=-1) for centre in codebook.centres], dim=-1)
    assert torch.equal(codebook.codes(features), distances.argmin(dim=-1))
    chosen = distances.min(dim=-1).values.mean() / 6
    torch.testing.assert_close(codebook(features, 1.0).commitment, chosen)


def test_the_gradient_of_the_nearest_code_is_passed_straight_through() -> None:
    codebook, features = build("nearest").eval(), some_features().requires_grad_()
    assert isinstance(codebook, NearestCodebook)
    weights = torch.randn(3, CODE_DIM, 4, 4)
    (codebook(features, 1.0).vectors * weights).sum().backward()
    again = some_features().requires_grad_()
    (codebook.expand(codebook.project(again.permute(0, 2, 3, 1))).permute(0, 3, 1, 2) * weights).sum().backward()
    torch.testing.assert_close(features.grad, again.grad)


def test_codes_move_to_the_mean_of_the_features_that_choose_them() -> None:
    torch.manual_seed(2)
    codebook = build("nearest").train()
    assert isinstance(codebook, NearestCodebook)
    features = some_features()
    for _ in range(300):
        codebook(features, 1.0)
    x = codebook.project(features.permute(0, 2, 3, 1)).detach().flatten(0, 2)
    codes = codebook.codes(features).flatten()
    for code in codes.unique().tolist():
        torch.testing.assert_close(codebook.centres[code], x[codes == code].mean(dim=0), atol=2e-2, rtol=0)


def test_dead_codes_are_put_where_features_are() -> None:
    """All codes begin far away from the features but one: without revival it alone would ever be used."""
    torch.manual_seed(3)
    used = {}
    for revive_below in (0.0, 0.05):
        codebook = build_codebook(
            NearestCodebookConfig(feature_dim=6, revive_below=revive_below),
            feature_dim=FEATURE_DIM,
            num_codes=NUM_CODES,
            code_dim=CODE_DIM,
        ).train()
        assert isinstance(codebook, NearestCodebook)
        codebook.centres[1:] += 1e3
        for _ in range(100):
            codebook(some_features(8), 1.0)
        used[revive_below] = len(codebook.codes(some_features(8)).unique())
    assert used[0.0] == 1 and used[0.05] == NUM_CODES


def test_evaluation_leaves_the_codes_alone() -> None:
    codebook = build("nearest").eval()
    before = {name: tensor.clone() for name, tensor in codebook.state_dict().items()}
    codebook(some_features(), 1.0)
    assert all(torch.equal(before[name], tensor) for name, tensor in codebook.state_dict().items())


def test_every_combination_of_levels_is_a_code_and_comes_back() -> None:
    codebook = build("finite_scalar")
    assert isinstance(codebook, FiniteScalarCodebook)
    digits = torch.cartesian_prod(torch.arange(4), torch.arange(3), torch.arange(2)).float()
    codes = codebook._code(digits[None, None])
    assert sorted(codes.flatten().tolist()) == list(range(NUM_CODES))
    torch.testing.assert_close(codebook.vectors(codes), codebook._expanded(digits[None, None]))


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_rounding_never_leaves_the_levels(size: float) -> None:
    codebook = build("finite_scalar").eval()
    codes = codebook.codes(size * some_features(20))
    assert int(codes.min()) >= 0 and int(codes.max()) < NUM_CODES
