import numpy as np

from limner.services.coding import moved_towards


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
