import numpy as np
from PIL import Image

from limner.data.duplicates import near_duplicates
from limner.data.thumbnails import thumbnail


def naive(thumbnails: list[np.ndarray], threshold: float) -> list[list[int]]:
    groups = [{place} for place in range(len(thumbnails))]
    for one in range(len(thumbnails)):
        for other in range(one):
            difference = (thumbnails[one].astype(float) - thumbnails[other]) / 255
            if np.sqrt(np.square(difference).mean()) <= threshold:
                joined = groups[one] | groups[other]
                for place in joined:
                    groups[place] = joined
    return sorted({tuple(sorted(group)) for group in groups if len(group) > 1})


def test_groups_are_those_of_a_naive_double_loop() -> None:
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (12, 16, 16, 3))
    found = [
        np.clip(centres[n % 12] + rng.normal(0, scale, (16, 16, 3)), 0, 255).astype(np.uint8)
        for n, scale in enumerate(rng.uniform(0, 12, 90))
    ]
    groups = near_duplicates(found)
    assert sorted(map(tuple, groups)) == naive(found, 0.03)
    assert 1 < len(groups) < 90


def test_a_resized_picture_is_near() -> None:
    y, x = np.mgrid[0:100, 0:120]
    picture = Image.fromarray(np.stack([x * 2, y * 2, 255 - x], axis=-1).astype(np.uint8))
    other = Image.fromarray(np.stack([255 - x * 2, y, x], axis=-1).astype(np.uint8))
    shown = [thumbnail(image) for image in (picture, other, picture.resize((60, 50)), picture)]
    assert near_duplicates(shown) == [[0, 2, 3]]


def test_few_pictures_have_no_duplicates() -> None:
    assert near_duplicates([]) == near_duplicates([np.zeros((16, 16, 3), np.uint8)]) == []
