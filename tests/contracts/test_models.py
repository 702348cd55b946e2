"""One common suite that every entry of MODELS passes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from limner.config import from_dict, to_dict
from limner.errors import ModelError, UsageError
from limner.models.checkpoints import MODELS, load_model, save_model
from limner.models.clip import CLIP, CLIPConfig
from limner.models.cross_encoder import CrossEncoder, CrossEncoderConfig
from limner.models.dalle import DALLE, DALLEConfig, WordsConfig
from limner.models.dvae import DVAE, DVAEConfig
from limner.models.extractor import Extractor, ExtractorConfig
from limner.models.language_relevance import LanguageRelevance, LanguageRelevanceConfig
from limner.models.late_interaction import LateInteraction, LateInteractionConfig
from limner.models.relevance import RelevanceModel
from limner.models.stir import STIR, STIRConfig, build_stir
from limner.nn.bottleneck import BottleneckConfig
from limner.nn.codebooks import DenseCodebookConfig, FiniteScalarCodebookConfig, NearestCodebookConfig
from limner.nn.hybrid import HybridConfig, HybridStage
from limner.nn.inverted_residual import InvertedResidualConfig, InvertedResidualStage
from limner.nn.parts import every_pair, joined
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig

SMALL_TEXT = TextConfig(
    vocab_size=300, length=12, token_dim=16, transformer=TransformerConfig(dim=32, depth=2, num_heads=2)
)
SMALL_VIT = VisionTransformerConfig(
    image_size=32, patch_size=8, transformer=TransformerConfig(dim=32, depth=2, num_heads=2)
)
SMALL_CONVOLUTION = InvertedResidualConfig(
    image_size=32, stem_dim=8, stages=(InvertedResidualStage(dim=16, num_blocks=2, expansion=2),), head_dim=32
)


def some_images() -> Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def some_tokens() -> Tensor:
    tokens = torch.randint(3, 300, (4, 12), generator=torch.Generator().manual_seed(1))
    tokens[1, 5:] = 0
    return tokens


def relevance_outputs(model: RelevanceModel, images: Tensor, tokens: Tensor) -> Tensor:
    """The scores of each row's picture and text, as query and document in all four ways: [rows, 4]."""
    sides = (model.picture_parts(images), model.text_parts(tokens))
    return torch.stack([model.pair_scores(query, document) for query in sides for document in sides], dim=1)


def clip_outputs(model: CLIP, images: Tensor, tokens: Tensor) -> Tensor:
    return torch.cat([*model(images, tokens), relevance_outputs(model, images, tokens)], dim=1)


def extractor_outputs(model: Extractor, images: Tensor, tokens: Tensor) -> Tensor:
    """The embedding of each picture, and its score with another: [rows, embed_dim + 1]."""
    one, other = model.picture_parts(images), model.picture_parts(1 - images)
    return torch.cat([model.encode_images(images), model.pair_scores(one, other)[:, None]], dim=1)


def stir_outputs(model: STIR, images: Tensor, tokens: Tensor) -> Tensor:
    """The scores of each picture and another, which its row alone says, in one order and in both: [rows, 2]."""
    one, other = model.picture_parts(images), model.picture_parts(1 - images)
    return torch.stack([model.pair_scores(one, other), model.ordered_scores(other, one)], dim=1)


def dalle_outputs(model: DALLE, images: Tensor, tokens: Tensor) -> Tensor:
    """All logits of a row, with the brightness of the picture's parts for its codes."""
    grey = functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 4).flatten(1)
    logits = model(tokens, (grey * 64).long() % 16)
    return torch.cat([logits.text.flatten(1), logits.picture.flatten(1)], dim=1)


def dvae_outputs(model: DVAE, images: Tensor, tokens: Tensor) -> Tensor:
    """What the encoder says, and the pictures of codes that do not depend on it; in training, one pass with noise."""
    if model.training:
        found = model(images, 1.0)
        return torch.cat([found.mean.flatten(1), found.log_scale.flatten(1)], dim=1) + found.commitment
    side = model.config.grid_size
    codes = torch.arange(side**2).view(1, side, side).expand(len(images), -1, -1)
    return torch.cat([model.features(images).flatten(1), model.decode(codes).flatten(1)], dim=1)


def small_dvae(**parts: object) -> DVAEConfig:
    small = TransformerConfig(dim=16, depth=1, num_heads=2)
    network = HybridConfig(stages=(HybridStage(dim=8), HybridStage(dim=12)), code_dim=6, encoder=small, decoder=small)
    return DVAEConfig(**{"image_size": 32, "num_codes": 24, "network": network} | parts)


SIDES = {"vision": SMALL_VIT, "text": SMALL_TEXT}
JOINT = TransformerConfig(dim=24, depth=1, num_heads=2)
CASES: dict[str, tuple[str, object, Callable[..., Tensor]]] = {
    "clip with a vit": ("clip", CLIPConfig(**SIDES, embed_dim=24), clip_outputs),
    "clip with convolutions": (
        "clip",
        CLIPConfig(vision=SMALL_CONVOLUTION, text=SMALL_TEXT, embed_dim=24),
        clip_outputs,
    ),
    "cross-encoder with a vit": ("cross", CrossEncoderConfig(**SIDES, joint=JOINT, embed_dim=32), relevance_outputs),
    "cross-encoder with convolutions": (
        "cross",
        CrossEncoderConfig(vision=SMALL_CONVOLUTION, text=SMALL_TEXT, joint=JOINT, embed_dim=16),
        relevance_outputs,
    ),
    "dalle": (
        "dalle",
        DALLEConfig(
            text=WordsConfig(vocab_size=300, length=12, token_dim=16),
            num_codes=16,
            grid_size=4,
            transformer=TransformerConfig(dim=32, depth=4, num_heads=2),
        ),
        dalle_outputs,
    ),
    "dvae with cosine logits": ("dvae", small_dvae(), dvae_outputs),
    "dvae with rounded numbers": (
        "dvae",
        small_dvae(codebook=FiniteScalarCodebookConfig(levels=(4, 3, 2))),
        dvae_outputs,
    ),
    "dvae with nearest codes": ("dvae", small_dvae(codebook=NearestCodebookConfig(feature_dim=6)), dvae_outputs),
    "dvae with the paper's parts": (
        "dvae",
        small_dvae(network=BottleneckConfig(hidden_dim=8, num_blocks=1, code_dim=6), codebook=DenseCodebookConfig()),
        dvae_outputs,
    ),
    "extractor with a vit": ("extractor", ExtractorConfig(vision=SMALL_VIT, embed_dim=24), extractor_outputs),
    "language model": ("language", LanguageRelevanceConfig(**SIDES, true_token=7, false_token=8), relevance_outputs),
    "late interaction": ("late", LateInteractionConfig(**SIDES, embed_dim=24), relevance_outputs),
    **{
        f"stir, {form}, {num_separate} layers separate, with a {name}": (
            "stir",
            STIRConfig(form=form, vision=vision, layers=JOINT, num_separate=num_separate, embed_dim=32),
            stir_outputs,
        )
        for name, vision, depths in (("vit", SMALL_VIT, (0, 1, 2)), ("convolution", SMALL_CONVOLUTION, (0, 1)))
        for form, num_separate in [
            ("pair", 0),
            ("interaction", 0),
            ("local", 0),
            *(("cached", depth) for depth in depths),
        ]
    },
}
JUDGES = {
    name: model
    for name, (kind, config, _) in CASES.items()
    if isinstance(model := MODELS[kind][0](config), RelevanceModel)
}
PICTURES_ONLY = tuple(name for name, model in JUDGES.items() if not model.reads_texts)
READERS = tuple(name for name, model in JUDGES.items() if model.reads_texts)

Case = tuple[nn.Module, Callable[..., Tensor]]


def test_every_model_has_a_case() -> None:
    assert {kind for kind, _, _ in CASES.values()} == set(MODELS)


def build(name: str) -> Case:
    torch.manual_seed(0)
    kind, config, outputs = CASES[name]
    return MODELS[kind][0](config).eval(), outputs


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return build(request.param)


@pytest.fixture(params=READERS)
def relevance_model(request: pytest.FixtureRequest) -> RelevanceModel:
    return build(request.param)[0]


@pytest.fixture(params=PICTURES_ONLY)
def picture_model(request: pytest.FixtureRequest) -> RelevanceModel:
    return build(request.param)[0]


@pytest.fixture(params=[name for name in PICTURES_ONLY if isinstance(JUDGES[name], STIR)])
def stir_model(request: pytest.FixtureRequest) -> STIR:
    return build(request.param)[0]


def test_the_config_survives_json(case: Case) -> None:
    model, _ = case
    assert from_dict(type(model.config), json.loads(json.dumps(to_dict(model.config)))) == model.config


def test_saved_and_loaded_gives_the_same_output(case: Case, tmp_path: Path) -> None:
    model, outputs = case
    save_model(tmp_path, model)
    inputs = some_images(), some_tokens()
    assert torch.equal(outputs(load_model(tmp_path), *inputs), outputs(model, *inputs))


def test_half_precision_on_disk_is_close_and_loads_as_float32(case: Case, tmp_path: Path) -> None:
    model, outputs = case
    save_model(tmp_path, model, dtype=torch.float16)
    loaded = load_model(tmp_path)
    inputs = some_images(), some_tokens()
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(outputs(loaded, *inputs), outputs(model, *inputs), atol=2e-2, rtol=0)


def test_the_gradient_reaches_every_parameter(case: Case) -> None:
    model, outputs = case
    model.train()
    output = outputs(model, some_images(), some_tokens())
    (output * torch.randn_like(output)).sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not [name for name in missing if name not in {"vision.class_token"}], missing


def test_rows_do_not_mix(case: Case) -> None:
    model, outputs = case
    images, tokens = some_images(), some_tokens()
    alone = [outputs(model, images[i : i + 1], tokens[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(outputs(model, images, tokens), torch.cat(alone), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [*READERS, "dalle"])
def test_padding_does_not_change_a_text(name: str) -> None:
    model, outputs = build(name)
    images = some_images()[:1]
    short = torch.tensor([[1, 7, 9, 2]])
    padded = torch.tensor([[1, 7, 9, 2, 0, 0, 0, 0]])
    torch.testing.assert_close(outputs(model, images, short), outputs(model, images, padded))


def test_all_scores_are_those_of_the_pairs(relevance_model: RelevanceModel) -> None:
    pictures, texts = relevance_model.picture_parts(some_images()), relevance_model.text_parts(some_tokens())
    for queries, documents in ((texts, pictures), (pictures, texts), (texts, texts), (pictures, pictures)):
        pairs = relevance_model.pair_scores(*every_pair(queries, documents)).view(4, 4)
        torch.testing.assert_close(relevance_model.all_scores(queries, documents), pairs, atol=1e-5, rtol=1e-5)
        assert not torch.equal(pairs, pairs[:1].expand(4, 4)), "the score depends on the query"


def test_parts_padded_to_the_length_of_others_score_the_same(relevance_model: RelevanceModel) -> None:
    """As when pictures and texts stand in one list of documents."""
    pictures, texts = relevance_model.picture_parts(some_images()), relevance_model.text_parts(some_tokens())
    together = relevance_model.all_scores(texts, joined([pictures, texts]))
    apart = [relevance_model.all_scores(texts, documents) for documents in (pictures, texts)]
    torch.testing.assert_close(together, torch.cat(apart, dim=1), atol=1e-5, rtol=1e-5)


def test_parts_kept_in_half_precision_score_nearly_the_same(relevance_model: RelevanceModel) -> None:
    pictures, texts = relevance_model.picture_parts(some_images()), relevance_model.text_parts(some_tokens())
    kept = replace(pictures, vectors=pictures.vectors.half().float())
    scores = relevance_model.all_scores(texts, pictures)
    torch.testing.assert_close(relevance_model.all_scores(texts, kept), scores, atol=2e-2, rtol=0)


def test_distances_are_bounded_and_fall_as_scores_rise(relevance_model: RelevanceModel) -> None:
    scores = relevance_model.all_scores(
        relevance_model.text_parts(some_tokens()), relevance_model.picture_parts(some_images())
    ).sort(dim=1)[0]
    distances = relevance_model.distances(scores)
    assert bool((distances >= 0).all()) and bool((distances <= 2).all())
    assert bool((distances.diff(dim=1) <= 0).all())


def test_pictures_asked_with_alone_score_as_pairs_and_kept_halved_nearly_so(picture_model: RelevanceModel) -> None:
    images = some_images()
    parts = picture_model.picture_parts(images)
    scores = picture_model.all_scores(parts, parts)
    torch.testing.assert_close(picture_model.pair_scores(*every_pair(parts, parts)).view(4, 4), scores)
    kept = replace(parts, vectors=parts.vectors.half().float())
    torch.testing.assert_close(picture_model.all_scores(parts, kept), scores, atol=2e-2, rtol=0)
    assert not torch.equal(scores, scores[:1].expand(4, 4)), "the score depends on the query"
    with pytest.raises(UsageError, match="ask with a picture"):
        picture_model.text_parts(some_tokens())


def test_both_orders_of_a_pair_score_alike(stir_model: STIR) -> None:
    parts = stir_model.picture_parts(some_images())
    scores = stir_model.all_scores(parts, parts)
    torch.testing.assert_close(scores, scores.T, atol=1e-5, rtol=1e-5)
    first, second = every_pair(parts, parts)
    one, other = stir_model.ordered_scores(first, second), stir_model.ordered_scores(second, first)
    torch.testing.assert_close((one + other) / 2, scores.flatten(), atol=1e-5, rtol=1e-5)


def test_distances_of_stir_are_the_probability_of_no(stir_model: STIR) -> None:
    parts = stir_model.picture_parts(some_images())
    scores = stir_model.all_scores(parts, parts)
    torch.testing.assert_close(stir_model.distances(scores), 1 - scores.sigmoid())


def test_many_pairs_at_once_score_as_few(picture_model: RelevanceModel) -> None:
    """More than are read at a time."""
    images = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    parts = picture_model.picture_parts(images)
    some = picture_model.all_scores(parts.take(torch.arange(3)), parts)
    torch.testing.assert_close(picture_model.all_scores(parts, parts)[:3], some, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("vision", [SMALL_VIT, SMALL_CONVOLUTION], ids=["vit", "convolution"])
def test_cached_stir_starts_where_its_extractor_stands(vision) -> None:
    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(vision=vision, text=SMALL_TEXT, embed_dim=32)).eval()
    stir = build_stir(
        STIRConfig(vision=vision, layers=JOINT, num_separate=1, embed_dim=32, cosine_threshold=0.2)
    ).eval()
    own = stir.state_dict()
    stir.load_state_dict(own | {name: value for name, value in clip.state_dict().items() if name in own})
    parts, vectors = stir.picture_parts(some_images()), clip.encode_images(some_images())
    torch.testing.assert_close(stir.embeddings(parts), vectors)
    expected = (vectors @ vectors.T - 0.2) * 10
    torch.testing.assert_close(stir.all_scores(parts, parts), expected, atol=0.1, rtol=0)


def test_the_paired_pass_is_one_pass_over_stacked_pictures() -> None:
    """Against the trunk itself, given a picture twice as high, with a head that copies the first feature."""
    torch.manual_seed(0)
    model = build_stir(STIRConfig(form="pair", vision=SMALL_VIT, num_separate=0, is_symmetric=False)).eval()
    images = some_images()
    stacked = torch.cat([images, 1 - images], dim=2)
    assert stacked.shape[2:] == (64, 32)
    expected = model.head(model.vision(stacked))[:, 0]
    found = model.pair_scores(model.picture_parts(images), model.picture_parts(1 - images))
    torch.testing.assert_close(found, expected)
    assert model.vision.embed(stacked).shape[1] == 1 + 8 * 4


def test_more_separate_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="num_separate 3 is more than the 2 layers"):
        STIRConfig(vision=SMALL_VIT, num_separate=3)


def test_embeddings_of_clip_have_unit_length() -> None:
    model = CLIP(CLIPConfig(**SIDES, embed_dim=24)).eval()
    torch.testing.assert_close(torch.cat(model(some_images(), some_tokens())).norm(dim=1), torch.ones(8))


def test_a_cross_encoder_with_the_weights_of_a_clip_starts_where_that_stands() -> None:
    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(**SIDES, embed_dim=32, bias=-1.5)).eval()
    cross = CrossEncoder(CrossEncoderConfig(**SIDES, joint=JOINT, embed_dim=32)).eval()
    cross.load_state_dict(cross.state_dict() | clip.state_dict())
    expected, found = (
        model.all_scores(model.text_parts(some_tokens()), model.picture_parts(some_images())) for model in (clip, cross)
    )
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_late_interaction_is_the_mean_of_the_best_similarities_beside_the_cosine_of_the_wholes(share: float) -> None:
    """Against a loop over tokens and places, of normalised vectors, that knows the definition alone."""
    torch.manual_seed(0)
    config = LateInteractionConfig(**SIDES, embed_dim=24, bias=0.5, parts_share=share)
    model = LateInteraction(config).eval().requires_grad_(False)
    texts, pictures = model.text_parts(some_tokens()), model.picture_parts(some_images())
    scores = model.all_scores(texts, pictures)
    first = 0 if share == 1 else 1
    for i in range(4):
        vectors = [vector / vector.norm() for vector, real in zip(texts.vectors[i], texts.mask[i], strict=True) if real]
        words = vectors[first:]
        for j in range(4):
            best = [max(float(word @ place) for place in pictures.vectors[j][first:]) for word in words]
            similarity = share * sum(best) / len(best)
            if share < 1:
                similarity += (1 - share) * float(vectors[0] @ pictures.vectors[j][0])
            assert scores[i, j].item() == pytest.approx(model.scale().item() * similarity + 0.5, abs=1e-4)


def test_late_interaction_begins_with_the_order_of_the_clip_that_it_starts_from() -> None:
    torch.manual_seed(1)
    clip = CLIP(CLIPConfig(**SIDES, embed_dim=24)).eval().requires_grad_(False)
    late = LateInteraction(LateInteractionConfig(**SIDES, embed_dim=24, parts_share=1e-6)).eval().requires_grad_(False)
    late.load_state_dict(late.state_dict() | clip.state_dict())
    expected, found = (
        model.all_scores(model.text_parts(some_tokens()), model.picture_parts(some_images())) for model in (clip, late)
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_language_model_scores_by_the_odds_of_two_words() -> None:
    torch.manual_seed(0)
    model = LanguageRelevance(LanguageRelevanceConfig(**SIDES, true_token=7, false_token=8)).eval()
    texts, pictures = model.text_parts(some_tokens()), model.picture_parts(some_images())
    log_probabilities = model.word_logits(texts, pictures).log_softmax(dim=1)
    expected = log_probabilities[:, 7] - log_probabilities[:, 8]
    torch.testing.assert_close(model.pair_scores(texts, pictures), expected, atol=1e-5, rtol=1e-5)


def test_the_likelihood_of_a_text_is_the_product_of_its_words_read_one_by_one() -> None:
    """Each word's probability after only the words before it, the rest of the text not yet there."""
    torch.manual_seed(0)
    model = LanguageRelevance(LanguageRelevanceConfig(**SIDES)).eval().requires_grad_(False)
    tokens, documents = some_tokens(), model.picture_parts(some_images())
    found = model.text_likelihoods(tokens, documents)
    for row in (0, 1):
        words = tokens[row][tokens[row] > 0]
        total = 0.0
        for place in range(len(words)):
            before = torch.cat([words[:place], torch.tensor([9])])[None]  # what comes next must not be seen
            said = model.text.embed(before)
            x = model._read(documents.take(torch.tensor([row])), said)[:, 1 + documents.mask.shape[1] + place]
            logits = model._words(x) @ model.text.tokens.weight.T
            total += logits.log_softmax(dim=1)[0, words[place]].item()
        assert found[row].item() == pytest.approx(total / len(words), abs=1e-4)


def test_a_class_token_model_pools_by_it(tmp_path: Path) -> None:
    vision = VisionTransformerConfig(
        image_size=32, patch_size=8, pooling="class", transformer=TransformerConfig(dim=32, depth=1, num_heads=2)
    )
    model = CLIP(CLIPConfig(vision=vision, text=SMALL_TEXT, embed_dim=24))
    clip_outputs(model, some_images(), some_tokens()).sum().backward()
    assert model.vision.class_token.grad.abs().sum() > 0


def test_patch_dropout_acts_in_training_only() -> None:
    vision = VisionTransformerConfig(
        image_size=32,
        patch_size=4,
        patch_dropout_rate=0.5,
        transformer=TransformerConfig(dim=32, depth=1, num_heads=2),
    )
    model = CLIP(CLIPConfig(vision=vision, text=SMALL_TEXT, embed_dim=24))
    images = torch.rand(2, 3, 32, 32)
    lengths: list[int] = []
    model.vision.transformer.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    first, second = model.train().encode_images(images), model.encode_images(images)
    assert not torch.equal(first, second)
    assert torch.equal(model.eval().encode_images(images), model.encode_images(images))
    assert lengths == [33, 33, 65, 65]


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"kind": "gan", "config": {}}')


def other_sizes(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["embed_dim"] = 25
    (folder / "config.json").write_text(json.dumps(values))


def enormous(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["text"]["vocab_size"] = 10**12
    (folder / "config.json").write_text(json.dumps(values))


def endless(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["text"]["transformer"]["depth"] = 10**6
    (folder / "config.json").write_text(json.dumps(values))


def unknown_key(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["hidden"] = 1
    (folder / "config.json").write_text(json.dumps(values))


def bottomless(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def no_spread(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["config"]["vision"]["std"] = [0, 0, 0]
    (folder / "config.json").write_text(json.dumps(values))


def too_wide(folder: Path) -> None:
    save_model(folder, CLIP(CLIPConfig(vision=SMALL_CONVOLUTION, text=SMALL_TEXT)))
    values = json.loads((folder / "config.json").read_text())
    values["config"]["vision"]["image_size"] = 1 << 20
    (folder / "config.json").write_text(json.dumps(values))


def not_a_number(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["text.positions"][1, 1] = float("nan")
    save_file(weights, folder / "model.safetensors")


def truncated(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def pickled(folder: Path) -> None:
    torch.save({"a": torch.ones(1)}, folder / "model.safetensors")


def one_tensor_less(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("text.positions")
    save_file(weights, folder / "model.safetensors")


def weights_gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "harm",
    [damage_config, unknown_kind, other_sizes, enormous, endless, unknown_key, truncated, pickled, one_tensor_less]
    + [weights_gone, bottomless, no_spread, too_wide, not_a_number],
)
def test_a_harmed_folder_is_refused_in_one_sentence(harm: Callable[[Path], None], tmp_path: Path) -> None:
    save_model(tmp_path, CLIP(CLIPConfig(vision=SMALL_VIT, text=SMALL_TEXT, embed_dim=24)))
    harm(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_names_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config.json and model.safetensors"):
        load_model(tmp_path / "nowhere")
