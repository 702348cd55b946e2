"""OpenAI's dVAE (package `dall_e`, https://github.com/openai/DALL-E) into ours: state dicts in its layout.

The package's own files are pickles of whole modules, which are never executed here: save `encoder.state_dict()` and
`decoder.state_dict()` of it instead.
"""

from collections.abc import Mapping

from torch import Tensor

from limner.errors import ModelError
from limner.models.dvae import DVAE
from limner.nn.bottleneck import BottleneckBlock, BottleneckConfig
from limner.nn.codebooks import DenseCodebook

__all__ = ["load_openai_dvae", "openai_key_map"]


def openai_key_map(model: DVAE) -> dict[str, str]:
    """Return the published name, after `encoder.` or `decoder.`, of each tensor but those of the codebook."""
    key_map = _layer("encoder.stem", "encoder.blocks.input") | _layer("decoder.head", "decoder.blocks.output.conv")
    for side in ("encoder", "decoder"):
        for group, blocks in enumerate(model.get_submodule(f"{side}.groups").children()):
            for number, block in enumerate(blocks.children()):
                assert isinstance(block, BottleneckBlock)
                ours, theirs = f"{side}.groups.{group}.{number}", f"{side}.blocks.group_{group + 1}.block_{number + 1}"
                if list(block.identity.parameters()):
                    key_map |= _layer(f"{ours}.identity", f"{theirs}.id_path")
                for place in range(4):
                    key_map |= _layer(f"{ours}.convolutions.{place}", f"{theirs}.res_path.conv_{place + 1}")
    return key_map


def load_openai_dvae(model: DVAE, encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> None:
    """Fill a dVAE of the published network with dense logits from the state dicts of the package's two modules.

    Raises:
        ModelError: if the model is of other parts, or a tensor is missing or has another shape.
    """
    if not isinstance(model.config.network, BottleneckConfig) or not isinstance(model.codebook, DenseCodebook):
        raise ModelError("OpenAI's weights are of the network 'bottleneck' and the codebook 'dense'; build it so")
    given = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    given |= {f"decoder.{name}": tensor for name, tensor in decoder.items()}
    head, table = "encoder.blocks.output.conv", "decoder.blocks.input"
    try:
        found = {ours: given[theirs] for ours, theirs in openai_key_map(model).items()}
        found["codebook.head.weight"] = given[f"{head}.w"][:, :, 0, 0]
        found["codebook.head.bias"] = given[f"{head}.b"]
        # A place's codes add up to one, so the bias of the decoder's first layer belongs to every code.
        found["codebook.table"] = given[f"{table}.w"][:, :, 0, 0].T + given[f"{table}.b"]
    except KeyError as error:
        raise ModelError(f"OpenAI's state dict lacks {error}; give that of the whole module, of equal sizes") from None
    for name, tensor in model.state_dict().items():
        if name not in found or found[name].shape != tensor.shape:
            shape = tuple(found[name].shape) if name in found else "missing"
            raise ModelError(f"OpenAI's weights for {name} are {shape}, not {tuple(tensor.shape)}; use its sizes")
    model.load_state_dict(found)


def _layer(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.weight": f"{theirs}.w", f"{ours}.bias": f"{theirs}.b"}
