"""Open Metric Learning (https://github.com/OML-Team/open-metric-learning): its extractors and ConcatSiamese into ours.

Its `ViTExtractor` is DINO's vision transformer (architectures vits8, vits16, vitb8, vitb16), of which the class token
of the last layer is the feature. `ConcatSiamese` reads two pictures one above the other with such an extractor, and a
perceptron with sigmoids says how likely they are not to show the same thing: sigma(logit). Ours says the opposite, so
the score is minus its logit.
"""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from limner.errors import ModelError
from limner.models.extractor import Extractor, ExtractorConfig
from limner.models.stir import STIRConfig
from limner.models.stir.pair import PairSTIR
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformer, VisionTransformerConfig

__all__ = ["extractor_of_oml", "model_of_oml", "read_oml_checkpoint", "stir_of_oml"]

_PATCHES, _SIAMESE_PATCHES = "patch_embed.proj.weight", "extractor.model.patch_embed.proj.weight"
_HEAD_DIM = 64
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLOCK = {
    "attention_norm": "norm1",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "mlp_norm": "norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}

Weights = Mapping[str, Tensor]


def read_oml_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, of Lightning or of a bare state dict; no code in it is run.

    Raises:
        ModelError: if it is no checkpoint, or holds anything else than tensors and plain values.
    """
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise ModelError(
            f"{path} holds more than weights ({reason}), which could run code; where you trust it, save its weights "
            'alone: torch.save({"state_dict": model.state_dict()}, FILE)'
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is not a checkpoint ({str(error).splitlines()[0]}); give a .ckpt or .pth file"
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    tensors = {name: value.float() for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path} holds no weights; give a checkpoint of Open Metric Learning")
    return tensors


def model_of_oml(weights: Weights) -> Extractor | PairSTIR:
    """Return our model of a checkpoint: STIR's pair form of a ConcatSiamese, an extractor of a ViTExtractor.

    Raises:
        ModelError: if it is neither.
    """
    return (
        stir_of_oml(weights) if any(name.endswith(_SIAMESE_PATCHES) for name in weights) else extractor_of_oml(weights)
    )


def extractor_of_oml(weights: Weights) -> Extractor:
    """Return an extractor whose trunk gives the features of a ViTExtractor, and whose embeddings are these normalised.

    Raises:
        ModelError: if a tensor is missing, too many, or of an architecture that ours has not.
    """
    own = _without_prefix(weights, _PATCHES)
    vision = _vision_of(own)
    dim = vision.transformer.dim
    model = Extractor(ExtractorConfig(vision=vision, embed_dim=dim))
    nn.init.eye_(model.image_projection.weight)
    _load(model.vision, own)
    return model.eval()


def stir_of_oml(weights: Weights) -> PairSTIR:
    """Return STIR's pair form whose score in one order is minus the logit of a ConcatSiamese with one hidden layer.

    Its `use_tta` averages the probabilities of both orders; ours, with `is_symmetric`, the log-odds.

    Raises:
        ModelError: as `extractor_of_oml`, or if the head has other layers.
    """
    own = _without_prefix(weights, _SIAMESE_PATCHES)
    head = {name.removeprefix("head."): tensor for name, tensor in own.items() if name.startswith("head.")}
    if set(head) != {"0.weight", "0.bias", "3.weight"} or len(head["3.weight"]) != 1:
        raise ModelError("this ConcatSiamese has a head of other layers; one with mlp_hidden_dims=[N] can be converted")
    prefix = "extractor.model."
    trunk = {name.removeprefix(prefix): tensor for name, tensor in own.items() if name.startswith(prefix)}
    vision = _vision_of(trunk)
    config = STIRConfig(
        form="pair",
        vision=vision,
        hidden_dim=len(head["0.weight"]),
        dropout_rate=0.5,
        activation="sigmoid",
        is_symmetric=False,
    )
    model = PairSTIR(config)
    _load(model.vision, trunk)
    first, last = model.head[0], model.head[3]
    if head["0.weight"].shape != first.weight.shape or head["3.weight"].shape != last.weight.shape:
        raise ModelError("the head of this ConcatSiamese does not fit its extractor; it is damaged")
    first.load_state_dict({"weight": head["0.weight"], "bias": head["0.bias"]})
    last.load_state_dict({"weight": -head["3.weight"], "bias": torch.zeros(1)})
    return model.eval()


def _vision_of(weights: Weights) -> VisionTransformerConfig:
    """Return the sizes that a state dict of DINO's vision transformer has."""
    if any(".ls1." in name or name in ("mask_token", "register_tokens") for name in weights):
        raise ModelError(
            "this is a ViT of DINOv2, which ours has no layers for; vits8, vits16, vitb8, vitb16 are known"
        )
    try:
        dim, _, patch_size, _ = weights[_PATCHES].shape
        side = round((weights["pos_embed"].shape[1] - 1) ** 0.5)
        hidden_dim = len(weights["blocks.0.mlp.fc1.weight"])
    except KeyError as error:
        raise ModelError(f"this checkpoint of a vision transformer lacks {error}; it is damaged") from None
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    transformer = TransformerConfig(
        dim=dim, depth=depth, num_heads=max(dim // _HEAD_DIM, 1), mlp_ratio=hidden_dim / dim, norm_epsilon=1e-6
    )
    return VisionTransformerConfig(
        image_size=side * patch_size,
        patch_size=patch_size,
        transformer=transformer,
        pooling="class",
        stretch_margin=0.1,
        mean=_MEAN,
        std=_STD,
    )


def _load(vision: VisionTransformer, weights: Weights) -> None:
    names = {
        "class_token": "cls_token",
        "positions": "pos_embed",
        **_layer("patches.0", "patch_embed.proj"),
        **_layer("transformer.norm", "norm"),
    }
    for number in range(vision.config.transformer.depth):
        for ours, theirs in _BLOCK.items():
            names |= _layer(f"transformer.blocks.{number}.{ours}", f"blocks.{number}.{theirs}")
    unknown = sorted(set(weights) - set(names.values()))
    if unknown:
        raise ModelError(f"this vision transformer has {unknown[0]}, which ours has not; vits8 to vitb16 are known")
    for ours, tensor in vision.state_dict().items():
        theirs = names[ours]
        found = tuple(weights[theirs].shape) if theirs in weights else "missing"
        if found != tuple(tensor.shape):
            raise ModelError(f"{theirs} of this checkpoint is {found}, not {tuple(tensor.shape)}; it is damaged")
    vision.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})


def _layer(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{name}": f"{theirs}.{name}" for name in ("weight", "bias")}


def _without_prefix(weights: Weights, known: str) -> dict[str, Tensor]:
    """Return what stands beside a tensor of a known name, which Lightning's names have something before."""
    name = min((name for name in weights if name.endswith(known)), key=len, default=None)
    if name is None:
        raise ModelError("this is no ViTExtractor and no ConcatSiamese of Open Metric Learning; give one of these")
    prefix = name.removesuffix(known)
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
