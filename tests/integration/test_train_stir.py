"""`limner train metric` and `limner train stir` as a user runs them: killed, resumed, searched with."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.command import Command, finish, set_words, start
from tests.photos import paint
from tests.shapes import write_split_shapes

from limner.models.checkpoints import load_model, save_model
from limner.models.extractor import Extractor, ExtractorConfig
from limner.models.stir import STIR
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.search.embedder import load_embedder
from limner.search.mine import read_negatives
from limner.search.reranker import load_reranker
from limner.training.logging import read_log

SMALL = {
    "model.vision.image_size": "32",
    "loader.batch_size": "12",
    "loader.num_threads": "1",
    "tokenizer.vocab_size": "300",
    "loop.num_steps": "8",
    "loop.warmup_steps": "2",
    "loop.save_every": "4",
    "loop.validate_every": "4",
    "loop.precision": "float32",
}
JOINT = SMALL | {
    "ranking.num_mined": "2",
    "ranking.mining.every": "3",
    "loop.optimizer.spans.vision": "[5, 8]",
}
FIGURES = {"R@1", "R@5", "R@10", "MRR", "mAP"}


def words(recipe: str, data: Path, out: Path, settings: dict[str, str]) -> list[str]:
    options = set_words(settings)
    return ["train", recipe, "--data", str(data), "--out", str(out), *options]


def cut_and_resumed(command: list[str], out: Path) -> None:
    process = start(*command, is_silent=True)
    deadline = time.monotonic() + 300
    while len(read_log(out)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    status, _, err = finish("train", "--resume", out)
    assert status == 0, err


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_split_shapes(tmp_path_factory.mktemp("sets") / "shapes").path


@pytest.fixture(scope="module")
def first(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP to start from."""
    out = tmp_path_factory.mktemp("runs") / "first"
    changes = SMALL | {"loop.num_steps": "2", "model.text.transformer.depth": "1", "model.text.length": "16"}
    status, _, err = finish(*words("clip", shapes, out, changes))
    assert status == 0, err
    return out


@pytest.fixture(scope="module")
def extractor(shapes: Path, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "extractor"
    status, printed, err = finish(*words("metric", shapes, out, SMALL), "--from", first, "--json")
    assert status == 0, err
    assert set(json.loads(printed)["after"]) == FIGURES and "before:" in err
    return out


@pytest.fixture(scope="module")
def stir(shapes: Path, extractor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cached STIR, whose trunk is frozen for five of eight steps, its pairs mined anew every three."""
    out = tmp_path_factory.mktemp("runs") / "stir"
    status, printed, err = finish(*words("stir-joint", shapes, out, JOINT), "--from", extractor, "--json")
    assert status == 0, err
    assert all(f"step {step}: mined" in err for step in (0, 3, 6))
    assert set(json.loads(printed)["after"]) == FIGURES and "before:" in err
    return out


def test_an_extractor_is_a_clip_whose_image_tower_has_learned(extractor: Path, first: Path) -> None:
    assert load_embedder(extractor).embed_texts(["a red circle"]).shape == (1, 192)
    before, after = (load_file(run / "last/model.safetensors") for run in (first, extractor))
    changed = {name for name in before if not bool((before[name] == after[name]).all())}
    assert any(name.startswith("vision") for name in changed)
    assert not any(name.startswith("text") for name in changed), "no word was weighed"


@pytest.mark.parametrize("recipe", ["metric", "stir-joint"])
def test_a_killed_run_ends_with_the_same_weights(
    shapes: Path, first: Path, extractor: Path, stir: Path, tmp_path: Path, recipe: str
) -> None:
    whole, settings, initial = {"metric": (extractor, SMALL, first), "stir-joint": (stir, JOINT, extractor)}[recipe]
    out = tmp_path / "cut"
    cut_and_resumed([*words(recipe, shapes, out, settings), "--from", str(initial)], out)
    one, other = load_file(whole / "last/model.safetensors"), load_file(out / "last/model.safetensors")
    assert all((one[name] == other[name]).all() for name in one)


def test_pairs_are_mined_over_the_whole_training_gallery_and_never_of_one_concept(stir: Path, shapes: Path) -> None:
    """Through the files that a resumed run reads: far more pictures are named than a batch of twelve holds."""
    files = sorted((stir / "negatives").glob("step-*.safetensors"))
    assert files
    tables = [read_negatives(path) for path in files]
    assert all(len(table) > 36 for table in tables)
    assert len(np.unique(tables[-1][tables[-1] >= 0])) > 24


def test_a_re_ranker_keeps_no_tokenizer_and_starts_from_its_extractor(stir: Path, extractor: Path) -> None:
    assert not (stir / "best/tokenizer.json").exists()
    loaded = load_model(stir)
    assert loaded.config.kind == "stir" and loaded.config.vision == load_model(extractor).config.vision


def test_local_stir_leaves_the_extractor_as_it_is(
    limner: Command, shapes: Path, extractor: Path, tmp_path: Path
) -> None:
    status, _, err = limner(*words("stir", shapes, tmp_path / "run", SMALL), "--from", extractor)
    assert status == 0, err
    learned = load_model(tmp_path / "run")
    assert isinstance(learned, STIR) and learned.config.form == "local"
    taken = load_file(extractor / "best/model.safetensors")
    own = learned.state_dict()
    assert all((own[name] == taken[name]).all() for name in own if name in taken)
    assert sum(name in taken for name in own) > 20


@pytest.mark.parametrize("form", ["pair", "interaction"])
def test_the_other_forms_learn_too(limner: Command, shapes: Path, extractor: Path, tmp_path: Path, form: str) -> None:
    changes = {"model.form": form, "loop.num_steps": "2", "loop.warmup_steps": "1", "loader.batch_size": "8"}
    changes |= {"loader.num_threads": "1", "loop.optimizer.spans.vision": "[1, 2]"}
    status, _, err = limner(*words("stir-joint", shapes, tmp_path / "run", changes), "--from", extractor)
    assert status == 0, err
    assert "step 0: mined" in err
    assert load_reranker(tmp_path / "run").kind == "stir"


@pytest.mark.parametrize("form", ["pair", "cached"])
def test_it_starts_from_an_extractor_without_words(limner: Command, shapes: Path, tmp_path: Path, form: str) -> None:
    vision = VisionTransformerConfig(
        image_size=32, patch_size=8, transformer=TransformerConfig(dim=32, depth=2, num_heads=2)
    )
    start = Extractor(ExtractorConfig(vision=vision, embed_dim=32))
    save_model(tmp_path / "extractor", start)
    changes = {"model.form": form, "loop.num_steps": "2", "loop.warmup_steps": "1", "loader.batch_size": "8"}
    changes |= {"loader.num_threads": "1", "loop.optimizer.spans.vision": "[1, 2]", "loop.optimizer.rates.vision": "0"}
    changes |= {"tokenizer.vocab_size": "300"}
    status, _, err = limner(*words("stir-joint", shapes, tmp_path / "run", changes), "--from", tmp_path / "extractor")
    assert status == 0, err
    assert "step 0: mined" in err and "before:" in err
    learned = load_model(tmp_path / "run").state_dict()
    assert all(torch.equal(learned[name], tensor) for name, tensor in start.state_dict().items() if "vision" in name)


def test_a_collection_made_before_is_upgraded_and_asked_with_a_picture(
    limner: Command, extractor: Path, stir: Path, tmp_path: Path
) -> None:
    for colour in ("red", "green", "blue", "black"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
    collection, asked = tmp_path / "c", tmp_path / "photos/green.png"
    assert limner("index", tmp_path / "photos", "--to", collection, "--model", extractor)[0] == 0
    search = ("search", collection, "--picture", asked, "--rerank", "stir", "--depth", 100, "--json")
    status, _, err = limner(*search)
    assert status != 0 and f"limner index --to {collection} --reranker MODEL" in err
    assert limner("index", "--to", collection, "--reranker", stir)[0] == 0
    status, out, err = limner(*search)
    assert status == 0, err
    hits = json.loads(out)["hits"]
    assert len(hits) == 4 and [hit["score"] for hit in hits] == sorted((h["score"] for h in hits), reverse=True)
    status, _, err = limner("search", collection, "green", "--rerank", "stir")
    assert status != 0 and "--picture" in err


def test_a_gallery_of_one_picture_is_searched(limner: Command, extractor: Path, stir: Path, tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "red.png", "red")
    collection = tmp_path / "c"
    made = ("index", tmp_path / "photos", "--to", collection, "--model", extractor, "--reranker", stir)
    assert limner(*made)[0] == 0
    status, out, err = limner(
        "search", collection, "--picture", tmp_path / "photos/red.png", "--rerank", "stir", "--json"
    )
    assert status == 0, err
    assert [Path(hit["path"]).name for hit in json.loads(out)["hits"]] == ["red.png"]


def test_an_export_of_a_re_ranker_is_half_as_large_and_judges(limner: Command, stir: Path, tmp_path: Path) -> None:
    assert limner("export", stir, tmp_path / "small")[0] == 0
    assert load_reranker(tmp_path / "small").kind == "stir"
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "small", stir / "best")]
    assert sizes[0] < 0.6 * sizes[1]
