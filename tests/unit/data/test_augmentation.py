import torch

from limner.data.augmentation import UNCHANGED, AugmentationConfig, augment

STILL = {
    "zoom": (1.0, 1.0),
    "stretch": 0.0,
    "rotation_degrees": 0.0,
    "shift": 0.0,
    "flip_rate": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "hue_degrees": 0.0,
    "grey_rate": 0.0,
    "ground_rate": 0.0,
    "invert_rate": 0.0,
    "outline_rate": 0.0,
    "erase_rate": 0.0,
}


def pictures(count: int = 6) -> torch.Tensor:
    images = torch.ones(count, 3, 32, 32)
    images[:, 0, 4:20, 6:12] = 0.2
    images[:, 1, 8:28, 10:24] = 0.4
    return images


def changed(**changes) -> torch.Tensor:
    return augment(pictures(), [(0, k) for k in range(6)], AugmentationConfig(**STILL | changes))


def test_a_row_depends_on_its_own_seed_alone() -> None:
    config = AugmentationConfig(invert_rate=0.3, outline_rate=0.3)
    seeds = [(7, k) for k in range(6)]
    together = augment(pictures(), seeds, config)
    alone = torch.cat([augment(pictures(1), [seed], config) for seed in seeds])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert not torch.equal(together[0], together[1])


def test_values_stay_between_black_and_white() -> None:
    images = augment(torch.rand(50, 3, 16, 16), [(1, k) for k in range(50)], AugmentationConfig(invert_rate=0.5))
    assert images.min() >= 0 and images.max() <= 1


def test_a_mirrored_picture_is_the_picture_flipped() -> None:
    torch.testing.assert_close(changed(flip_rate=1.0), pictures().flip(3), atol=1e-4, rtol=0)


def test_moving_brings_in_white_only() -> None:
    moved = changed(shift=0.3, zoom=(0.5, 0.6))
    assert (moved[:, :, 0, 0] == 1).float().mean() > 0.9
    assert moved.mean() > pictures().mean()


def test_grey_pictures_have_equal_channels_and_keep_white() -> None:
    grey = changed(grey_rate=1.0)
    torch.testing.assert_close(grey[:, 0], grey[:, 2], atol=1e-5, rtol=0)
    torch.testing.assert_close(grey[:, :, 0, 0], torch.ones(6, 3))


def test_hue_turns_keep_the_mean_of_the_channels_and_change_them() -> None:
    turned = changed(hue_degrees=30.0)
    inside = torch.zeros(6, 3, 32, 32, dtype=torch.bool)
    inside[:, :, 12:18, 14:20] = True
    assert not torch.allclose(turned, pictures(), atol=1e-2)
    torch.testing.assert_close(turned.mean(dim=1)[:, 0, 0], torch.ones(6))


def test_a_ground_recolours_white_and_not_the_drawing() -> None:
    grounded = changed(ground_rate=1.0)
    assert (grounded[:, :, 0, 0] - 1).abs().amax(dim=1).min() > 0.01
    torch.testing.assert_close(grounded[:, 1, 22, 20], pictures()[:, 1, 22, 20], atol=0.02, rtol=0)


def test_inverting_twice_is_nothing_and_once_is_the_negative() -> None:
    torch.testing.assert_close(changed(invert_rate=1.0), 1 - pictures())


def test_outlines_are_dark_at_edges_and_white_elsewhere() -> None:
    lines = changed(outline_rate=1.0)
    assert (lines[:, :, 0, 0] == 1).all() and (lines[:, :, 27, 15] < 0.7).all() and (lines[:, :, 24, 17] > 0.95).all()


def test_erasing_covers_a_part_with_grey() -> None:
    assert ((changed(erase_rate=1.0) == 0.5).all(dim=1).flatten(1).sum(dim=1) > 0).sum() >= 4


def test_no_change_is_the_config_of_no_change() -> None:
    images = pictures()
    assert torch.equal(augment(images, [(0, k) for k in range(6)], UNCHANGED), images)
    assert AugmentationConfig(**STILL) == UNCHANGED
    torch.testing.assert_close(changed(zoom=(1.0, 1.0 + 1e-9)), images, atol=1e-4, rtol=0)
