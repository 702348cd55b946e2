import pytest
import torch

from limner.config import from_dict
from limner.errors import UsageError
from limner.models.dvae import DVAE, DVAEConfig
from limner.nn.bottleneck import BottleneckConfig
from limner.nn.codebooks import DenseCodebookConfig, FiniteScalarCodebookConfig
from limner.nn.hybrid import HybridConfig, HybridStage
from limner.nn.pixels import from_interval, into_interval
from limner.nn.transformer import TransformerConfig

SMALL = HybridConfig(
    stages=(HybridStage(dim=8), HybridStage(dim=12)),
    code_dim=6,
    encoder=TransformerConfig(dim=16, depth=1, num_heads=2),
    decoder=TransformerConfig(dim=16, depth=1, num_heads=2),
)
CONFIGS = {
    "hybrid": DVAEConfig(image_size=32, num_codes=20, network=SMALL),
    "bottleneck": DVAEConfig(
        image_size=32,
        num_codes=20,
        network=BottleneckConfig(hidden_dim=8, num_groups=4, num_blocks=1, code_dim=6),
        codebook=DenseCodebookConfig(),
    ),
    "bottleneck of patches": DVAEConfig(
        image_size=32,
        num_codes=20,
        network=BottleneckConfig(hidden_dim=8, num_groups=2, num_blocks=1, code_dim=6, patch_size=4),
    ),
}


def some_images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=sorted(CONFIGS))
def model(request: pytest.FixtureRequest) -> DVAE:
    torch.manual_seed(0)
    return DVAE(CONFIGS[request.param]).eval().requires_grad_(False)


def test_pictures_become_a_grid_of_codes_and_come_back_in_size_and_range(model: DVAE) -> None:
    codes = model.codes(some_images())
    side = model.config.grid_size
    assert side == 4 and codes.shape == (3, side, side) and int(codes.max()) < 20
    pictures = model.decode(codes)
    assert pictures.shape == (3, 3, 32, 32) and float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    assert torch.equal(model.reconstruct(some_images()), pictures)


def test_codes_are_the_likeliest_without_noise(model: DVAE) -> None:
    found = model(some_images(), 1.0)
    assert found.logits is not None and torch.equal(found.logits.argmax(dim=-1), model.codes(some_images()))
    assert torch.equal(found.codes, model.codes(some_images()))
    assert torch.equal(model.codes(some_images()), model.codes(some_images()))


def test_at_a_low_temperature_training_decodes_what_gumbel_max_draws(model: DVAE) -> None:
    torch.manual_seed(1)
    relaxed = model(some_images(), 1e-6)
    torch.manual_seed(1)
    hard = model(some_images(), 1.0, hard=True)
    torch.testing.assert_close(relaxed.mean, hard.mean, atol=1e-4, rtol=1e-3)


def test_the_pictures_of_the_output_are_those_of_its_codes() -> None:
    config = DVAEConfig(
        image_size=32, num_codes=24, network=SMALL, codebook=FiniteScalarCodebookConfig(levels=(4, 3, 2))
    )
    model = DVAE(config).eval().requires_grad_(False)
    found = model(some_images())
    torch.testing.assert_close(found.pictures(), model.decode(found.codes), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.decoded(found.codes).log_scale, found.log_scale, atol=1e-5, rtol=1e-4)


def test_no_pixel_is_claimed_sharper_than_the_config_allows() -> None:
    model = DVAE(CONFIGS["hybrid"]).requires_grad_(False)
    model.decoder.convolutions[-2].bias.fill_(-30.0)
    assert float(model(some_images()).log_scale.min()) == -4.0


def test_the_pixel_map_and_its_inverse() -> None:
    images = torch.tensor([0.0, 0.25, 1.0]).expand(1, 3, 1, 3)
    torch.testing.assert_close(into_interval(images)[0, 0, 0], torch.tensor([0.1, 0.3, 0.9]))
    torch.testing.assert_close(from_interval(into_interval(images)), images)
    assert torch.equal(from_interval(torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2))[0, 0, 0], torch.tensor([0.0, 1.0]))


def test_the_published_sizes_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        model = DVAE(
            DVAEConfig(image_size=256, num_codes=8192, network=BottleneckConfig(), codebook=DenseCodebookConfig())
        )
    assert model.config.grid_size == 32
    count = sum(parameter.numel() for parameter in model.parameters())
    # dall_e has 53.79 M and 43.83 M; its decoder has one bias of 128 more, which our table of codes holds.
    assert count == pytest.approx(97.62e6, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_size": 60}, "not a multiple of 8"),
        ({"codebook": {"kind": "finite_scalar", "levels": [4, 4]}}, "make 16 codes, not 512"),
        ({"codebook": {"kind": "dense", "levels": [4, 4]}}, "unknown key 'codebook.levels'"),
        ({"network": {"kind": "hybrid", "stages": []}}, "stages is empty"),
        ({"network": {"kind": "bottleneck", "hidden_dim": 6}}, "not a multiple of 4"),
        ({"network": {"kind": "bottleneck", "num_groups": 40}}, "num_groups"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(values: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_dict(DVAEConfig, values)
