"""Are Open Metric Learning's models, converted, the same models? Prints how far apart their outputs are.

PYTHON benchmarks/peer/oml_parity.py make FOLDER      in an environment that has open-metric-learning
python benchmarks/peer/oml_parity.py compare FOLDER   in Limner's: converts the checkpoints, and compares

The first writes models and what they answer; benchmarks/metric_learning.py makes its environment. Weights are
random but wide, and in the library's own classes: a ViTExtractor vits16 at 224 pixels and a ConcatSiamese of it. The
checkpoints are named as Lightning names them.
"""

import sys
from pathlib import Path

import torch

_NUM_PICTURES = 3


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    {"make": _make, "compare": _compare}[task](folder)


@torch.inference_mode()
def _make(folder: Path) -> None:
    """Write two checkpoints, pictures, and what the library says of them."""
    # torchvision's CUDA build registers fakes for two operators that its library for CPU lacks.
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from oml.const import MEAN, STD
    from oml.models import ConcatSiamese, ViTExtractor

    torch.manual_seed(0)
    extractor = ViTExtractor(None, arch="vits16", normalise_features=False)
    siamese = ConcatSiamese(extractor, mlp_hidden_dims=[192]).eval()
    for parameter in siamese.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    images = torch.rand(2, _NUM_PICTURES, 3, 224, 224)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    one, other = (images - mean) / std
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in {"extractor": extractor, "siamese": siamese}.items():
        state = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
        torch.save({"epoch": 0, "state_dict": state}, folder / f"{name}.ckpt")
    outputs = {"features": extractor(one), "logits": siamese(one, other), "turned": siamese(other, one)}
    outputs["probabilities"] = siamese.predict(one, other)
    torch.save({"images": images} | outputs, folder / "outputs.pt")
    print(f"wrote {folder}")


@torch.inference_mode()
def _compare(folder: Path) -> None:
    """Convert the checkpoints by the service that the command calls, and compare; exits with 1 if they differ."""
    from limner.models.checkpoints import load_model
    from limner.services.converting import convert_checkpoint

    kept = torch.load(folder / "outputs.pt", weights_only=True)
    models = {}
    for name in ("extractor", "siamese"):
        out = folder / name
        if not out.exists():
            convert_checkpoint(folder / f"{name}.ckpt", out)
        models[name] = load_model(out)
    one, other = kept["images"]
    stir = models["siamese"]
    parts = stir.picture_parts(one), stir.picture_parts(other)
    scores = stir.pair_scores(*parts)
    found = {
        "features": models["extractor"].vision(one),
        "logits": -scores,
        "turned": -stir.pair_scores(parts[1], parts[0]),
        "probabilities": stir.distances(scores[None])[0],
    }
    is_equal = True
    for name, ours in found.items():
        theirs = kept[name]
        apart = float((ours - theirs).abs().max())
        print(f"{name}: at most {apart:.1e} apart, of values up to {float(theirs.abs().max()):.2g}")
        is_equal &= torch.allclose(ours, theirs, atol=1e-4, rtol=1e-4)
    sys.exit(not is_equal)


if __name__ == "__main__":
    main()
