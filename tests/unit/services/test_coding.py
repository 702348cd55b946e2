from pathlib import Path

import numpy as np
import pytest
import torch
from tests.drawers import tiny_dvae
from tests.shapes import write_colourless_shapes

from limner.data.loader import CaptionedLoader, LoaderConfig
from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.services import coding
from limner.services.coding import code_pictures, moved_towards


def test_every_view_of_every_picture_is_coded_and_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "_BATCH_SIZE", 20)
    shapes = write_colourless_shapes(tmp_path / "set")
    tokenizer = Tokenizer.train(["a circle"] * 3, TokenizerConfig(vocab_size=300))
    dvae = tiny_dvae().eval().requires_grad_(False)
    said: list[str] = []

    def coded(tint_rate: float) -> tuple[CaptionedLoader, np.ndarray]:
        config = LoaderConfig(batch_size=16, tint_rate=tint_rate)
        loader = CaptionedLoader([shapes], [np.arange(len(shapes))], tokenizer, config, image_size=32, text_length=8)
        found = code_pictures(
            dvae, None, loader, tmp_path / "codes", num_views=3, report=lambda done, total, note: None, say=said.append
        )
        assert found.embeddings is None
        return loader, found.codes

    loader, codes = coded(0.5)
    assert codes.shape == (len(shapes), 3, 16) and len(shapes) > 40
    for view in range(3):
        images = loader.view(range(len(shapes)), view, 3)
        assert torch.equal(dvae.codes(images).flatten(1), torch.from_numpy(codes[:, view]).long()), view
    assert len(said) == 1
    assert np.array_equal(coded(0.5)[1], codes) and len(said) == 1, "nothing is coded again"
    coded(0.25)
    assert len(said) == 2, "other colours are other pictures"


def test_embeddings_are_moved_to_where_others_are() -> None:
    generator = np.random.default_rng(0)
    pictures, texts = (
        _unit(generator.normal(size=(400, 32)) + 4 * generator.normal(size=32)).astype(np.float32) for _ in range(2)
    )
    moved = moved_towards(pictures, texts)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, rtol=1e-5)
    apart, near = (_unit(each.mean(axis=0)) @ _unit(texts.mean(axis=0)) for each in (pictures, moved))
    assert apart < 0.7 and near > 0.99
    before, after = ((each - each.mean(axis=0)) for each in (pictures, moved))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9, "what tells pictures apart stays"


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
