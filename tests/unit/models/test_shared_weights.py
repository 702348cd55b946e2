"""A model may leave out the weights that it shares with a shipped one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.data.tokenizer import Tokenizer, TokenizerConfig
from limner.errors import ModelError, UsageError
from limner.generation.drawer import DVAE_FOLDER, load_drawer, load_dvae
from limner.models.checkpoints import load_model, resolve, save_model
from limner.models.dalle import DALLE, DALLEConfig, WordsConfig
from limner.models.stir import STIR, STIRConfig, build_stir
from limner.nn.transformer import TransformerConfig
from limner.search.calibrate import read_calibration
from limner.search.embedder import load_embedder
from limner.services.exporting import export_model

BASE = "pictograms"


@pytest.fixture(scope="module")
def reranker() -> STIR:
    """Return a STIR on the trunk and embedding of the shipped CLIP, its own layers at random."""
    clip = load_model(BASE)
    torch.manual_seed(0)
    model = build_stir(STIRConfig(vision=clip.config.vision, embed_dim=clip.config.embed_dim)).eval()
    model.load_state_dict(clip.state_dict(), strict=False)
    return model


def size(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size


def test_shared_weights_are_left_out_and_come_back(reranker: STIR, tmp_path: Path) -> None:
    save_model(tmp_path / "whole", reranker)
    save_model(tmp_path / "shared", reranker, shared_with=BASE)
    assert size(tmp_path / "shared") < size(tmp_path / "whole") - size(resolve(BASE))
    loaded = load_model(tmp_path / "shared").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in reranker.state_dict().items())


def test_a_weight_that_moved_is_kept(reranker: STIR, tmp_path: Path) -> None:
    moved = build_stir(reranker.config)
    moved.load_state_dict(reranker.state_dict())
    with torch.no_grad():
        moved.image_projection.weight[0, 0] += 1
    save_model(tmp_path, moved, shared_with=BASE)
    assert torch.equal(load_model(tmp_path).state_dict()["image_projection.weight"], moved.image_projection.weight)


def test_a_model_that_shares_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="write it whole"):
        save_model(tmp_path, build_stir(STIRConfig()), shared_with=BASE)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ({"model": BASE, "digest": "0" * 64}, "another version"),
        ({"model": "../elsewhere", "digest": "0" * 64}, "not shipped"),
        ("pictograms", "not shipped"),
    ],
)
def test_weights_of_another_version_or_place_are_refused(
    shared: object, said: str, reranker: STIR, tmp_path: Path
) -> None:
    save_model(tmp_path, reranker, shared_with=BASE)
    values = json.loads((tmp_path / "config.json").read_text()) | {"shared": shared}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=said):
        load_model(tmp_path)


def test_only_a_shipped_model_can_be_shared_with(reranker: STIR, tmp_path: Path) -> None:
    save_model(tmp_path / "whole", reranker)
    with pytest.raises(UsageError, match="known: .*pictograms"):
        export_model(str(tmp_path / "whole"), tmp_path / "out", shared_with="nothing")
    assert not (tmp_path / "out").exists()
    assert export_model(str(tmp_path / "whole"), tmp_path / "out", shared_with=BASE).size_bytes < 5e6


def test_what_a_shipped_model_shares_may_be_shared_on(tmp_path: Path) -> None:
    moved = load_model("pictograms-stir")
    with torch.no_grad():
        moved.cosine_threshold += 1
    save_model(tmp_path, moved, shared_with="pictograms-stir")
    assert size(tmp_path) <= size(resolve("pictograms-stir"))
    loaded = load_model(tmp_path).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in moved.state_dict().items())


def test_a_clip_without_its_words_sees_the_same(tmp_path: Path) -> None:
    exported = export_model(BASE, tmp_path / "extractor", only_pictures=True)
    assert exported.size_bytes < sum(path.stat().st_size for path in resolve(BASE).iterdir()) - 3e6
    clip, extractor = load_embedder(BASE), load_embedder(tmp_path / "extractor")
    assert not extractor.reads_texts
    calibration = read_calibration(tmp_path / "extractor", extractor.fingerprint)
    assert calibration is not None and calibration.picture and not calibration.text
    pictures = [Image.new("RGB", (80, 80), colour) for colour in ("red", "white")]
    assert np.array_equal(clip.embed_pictures(pictures), extractor.embed_pictures(pictures))


def test_only_a_clip_has_words_to_leave_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a CLIP"):
        export_model("pictograms-dvae", tmp_path / "out", only_pictures=True)
    assert not (tmp_path / "out").exists()


def test_a_drawer_may_share_the_shipped_dvae(tmp_path: Path) -> None:
    dvae = load_dvae("pictograms-dvae")
    sizes = TransformerConfig(dim=16, depth=1, num_heads=2)
    tokenizer = Tokenizer.train(["a red circle"], TokenizerConfig(vocab_size=300))
    words = WordsConfig(vocab_size=tokenizer.vocab_size, length=6, token_dim=8)
    model = DALLE(DALLEConfig(text=words, num_codes=512, grid_size=8, transformer=sizes))
    save_model(tmp_path / "whole", model)
    save_model(tmp_path / "whole" / DVAE_FOLDER, dvae)
    tokenizer.save(tmp_path / "whole")
    whole = export_model(str(tmp_path / "whole"), tmp_path / "copied")
    small = export_model(str(tmp_path / "whole"), tmp_path / "shared", shared_with="pictograms-dvae")
    assert small.num_parameters == whole.num_parameters and small.size_bytes < whole.size_bytes - 2e6
    first, second = (load_drawer(tmp_path / name) for name in ("copied", "shared"))
    for one, other in ((first.model, second.model), (first.dvae, second.dvae)):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
