"""Our BERT against torch's own encoder layers, and the whole teacher over a tiny package of the published layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from limner.errors import ModelError
from limner.interop import sentence_teacher
from limner.interop.sentence_teacher import SentenceTeacher, bert_features

DIM, HIDDEN_DIM, NUM_HEADS, DEPTH = 384, 48, 12, 2
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog", "##s"]


def layers() -> list[nn.TransformerEncoderLayer]:
    torch.manual_seed(0)
    return [
        nn.TransformerEncoderLayer(DIM, NUM_HEADS, HIDDEN_DIM, 0.0, "gelu", 1e-12, batch_first=True)
        for _ in range(DEPTH)
    ]


def published(encoder: list[nn.TransformerEncoderLayer]) -> dict[str, Tensor]:
    """The layers' weights under BERT's names, with random embeddings."""
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(len(WORDS), DIM),
        "embeddings.position_embeddings.weight": torch.randn(16, DIM),
        "embeddings.token_type_embeddings.weight": torch.randn(2, DIM),
        "embeddings.LayerNorm.weight": torch.rand(DIM) + 0.5,
        "embeddings.LayerNorm.bias": torch.randn(DIM),
    }
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for number, layer in enumerate(encoder):
        tensors = {name: tensor.detach().clone() for name, tensor in layer.state_dict().items()}
        for kind in ("weight", "bias"):
            for ours, theirs in names.items():
                weights[f"encoder.layer.{number}.{theirs}.{kind}"] = tensors[f"{ours}.{kind}"]
            parts = tensors[f"self_attn.in_proj_{kind}"].chunk(3)
            for part, tensor in zip(("query", "key", "value"), parts, strict=True):
                weights[f"encoder.layer.{number}.attention.self.{part}.{kind}"] = tensor.clone()
    return weights


def test_hidden_states_equal_those_of_torch() -> None:
    encoder = layers()
    weights = published(encoder)
    tokens = torch.randint(len(WORDS), (3, 7))
    is_token = torch.arange(7) < torch.tensor([[7], [4], [1]])
    x = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][:7]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    norm = nn.LayerNorm(DIM, eps=1e-12)
    norm.load_state_dict({kind: weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")})
    with torch.no_grad():
        x = norm(x)
        for layer in encoder:
            x = layer(x, src_key_padding_mask=~is_token)
        found = bert_features(weights, tokens, is_token, num_heads=NUM_HEADS)
    torch.testing.assert_close(found[is_token], x[is_token], rtol=1e-4, atol=1e-4)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SentenceTeacher:
    folder = tmp_path / "tiny_teacher" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    save_file(published(layers()), folder / "model.safetensors")
    tokenizer = Tokenizer(models.WordPiece({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str())))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sentence_teacher, "_PACKAGE", "tiny_teacher")
    return SentenceTeacher(length=16)


def test_embeddings_are_unit_and_do_not_depend_on_their_neighbours(teacher: SentenceTeacher) -> None:
    alone = np.concatenate([teacher.embed([text]) for text in ("a cat", "dogs", "a a a dog")])
    together = teacher.embed(["a cat", "dogs", "a a a dog"])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert teacher.embed([]).shape == (0, DIM)


def test_the_vocabulary_has_whole_words_only(teacher: SentenceTeacher) -> None:
    assert teacher.vocabulary == ["a", "cat", "dog"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_teacher, "_PACKAGE", "limner_has_no_such_teacher")
    with pytest.raises(ModelError, match=r"limner\[teachers\]"):
        SentenceTeacher()
