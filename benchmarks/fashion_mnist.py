"""How well does a CLIP that learned Fashion-MNIST's captions name its test pictures, beside classifiers?

    python benchmarks/fashion_mnist.py [--recipe clip-fashion-mnist] [--set loop.num_steps=4000]

The model never sees a class number: it learns from captions, and each of the 10,000 test pictures gets the class whose
prompts lie nearest. The other figures are of supervised classifiers, as the data set's own page lists them.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from limner.services.evaluating import evaluate_model
from record import markdown_table, write_result
from training_runs import train_or_resume

_PUBLISHED = "https://github.com/zalandoresearch/fashion-mnist#benchmark"
_SUPERVISED = [
    ("people without fashion training, majority of three", 0.835),
    ("two convolutions, 113 k parameters", 0.922),
    ("VGG16, 26 M parameters", 0.935),
    ("ResNet18", 0.949),
    ("DenseNet-BC, 768 k parameters", 0.954),
    ("WRN40-4, 8.9 M parameters", 0.967),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="clip-fashion-mnist")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a setting for limner train")
    parser.add_argument("--data", type=Path, default=Path("benchmarks/work/fashion-mnist"), help="made if missing")
    parser.add_argument("--run", type=Path, default=Path("benchmarks/work/fashion-mnist-run"), help="resumed if there")
    options = parser.parse_args()
    limner = [sys.executable, "-m", "limner.cli"]
    if not options.data.exists():
        subprocess.run([*limner, "data", "get", "fashion-mnist", options.data], check=True)
    settings = [word for setting in options.settings for word in ("--set", setting)]
    minutes = train_or_resume(options.recipe, options.run, ["--data", options.data, *settings])
    found = evaluate_model(options.run, options.data, split="test")
    assert found.zero_shot is not None
    ours = f"{found.zero_shot.mean:.3f} ({found.zero_shot.low:.3f}–{found.zero_shot.high:.3f})"
    rows = [["**Limner, zero-shot by prompts**", f"**{ours}**"], *([name, figure] for name, figure in _SUPERVISED)]
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n"
        f"{markdown_table(['classifier', 'test accuracy'], rows)}\n\n"
        f"Recipe `{options.recipe}`{''.join(f', `{setting}`' for setting in options.settings)}; this call trained for "
        f"{minutes:.0f} minutes. {found.num_pictures:,} test pictures; supervised figures from <{_PUBLISHED}>, "
        "as submitted there.\n"
    )
    print(write_result("fashion_mnist", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
