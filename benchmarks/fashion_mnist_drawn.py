"""Are pictures of clothes that a DALL-E draws what their words say, and do they stand in for real ones?

    python benchmarks/fashion_mnist_drawn.py RUN [--count 1000] [--guidance 1.5] [--temperature 1]
        [--filter CLIP] [--margin 0] [--sheet drawn.png]

RUN is one of `limner train dalle-fashion-mnist --set drawing.dvae=DVAE`, the DVAE one of `limner train
dvae-fashion-mnist`; the one of the page is larger and learned for longer, as `docs/how-to/draw.md` says. With --filter
and a CLIP, one of `limner train clip-fashion-mnist`, each class is drawn until there are enough of those that it finds
nearer to their own words than to the other nine: with --margin 1, e times as likely as by any other of them. A small
classifier learns the real training pictures, and names what is drawn; another learns the drawn pictures, and names the
real test pictures. Test pictures that went through the dVAE alone say how much of the rest is lost there. Distances are
between the first one's features: the Frechet distance of drawn to training pictures stands beside that of as many test
pictures, and manifold precision and recall are the shares of drawn pictures among training pictures and the other way
round.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from limner.data.builtin.fashion_mnist import CLASSES, TEMPLATES
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet
from limner.data.sheet import save_sheet
from limner.evaluation.distances import frechet_distance, precision_and_recall
from limner.evaluation.intervals import estimate_mean
from limner.generation.drawer import Drawer, load_drawer
from limner.search.embedder import Embedder, load_embedder
from limner.services.drawing import Request, Sampling, draw
from record import markdown_table, write_result

_COMPARED = 5_000
_SHOWN = 6


class Labelled(NamedTuple):
    """Grey pictures [n, 1, 28, 28] of 8 bits, and the number of each one's class."""

    pixels: Tensor
    labels: Tensor


class Classifier(nn.Module):
    """Two convolutions and a hidden layer whose 128 numbers are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 49, 128), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(128, len(CLASSES))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.trunk(pixels.float() / 255))


def learn(from_: Labelled, *, num_steps: int, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    model = Classifier().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=num_steps)
    for _ in range(num_steps):
        rows = torch.randint(len(from_.labels), (128,))
        pixels = from_.pixels[rows]
        pixels = torch.where(torch.rand(128, 1, 1, 1) < 0.5, pixels, pixels.flip(3))
        loss = functional.cross_entropy(model(pixels), from_.labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.inference_mode()
def named(model: Classifier, pictures: Labelled) -> np.ndarray:
    """Return whether each picture is named right."""
    found = torch.cat([model(batch).argmax(dim=1) for batch in pictures.pixels.split(500)])
    return (found == pictures.labels).numpy()


@torch.inference_mode()
def features(model: Classifier, pictures: Labelled) -> np.ndarray:
    chosen = torch.randperm(len(pictures.labels), generator=torch.Generator().manual_seed(0))[:_COMPARED]
    return torch.cat([model.trunk(batch.float() / 255) for batch in pictures.pixels[chosen].split(500)]).numpy()


def real(data: Path, split: str) -> Labelled:
    pictures = PictureSet.open(data)
    table = pictures.rows(["concept"], splits=[split])
    decoded = [np.asarray(decode_picture(each).convert("L")) for each in pictures.pictures(table["_row"].to_pylist())]
    labels = [CLASSES.index(concept) for concept in table["concept"].to_pylist()]
    return Labelled(torch.from_numpy(np.stack(decoded))[:, None], torch.tensor(labels))


def words_of(label: str) -> str:
    named_thing = label if label == "trousers" else f"{'an' if label[0] in 'aeiou' else 'a'} {label}"
    return TEMPLATES[0].format(named_thing)


class Filter:
    """A CLIP that lets those drawings pass whose score by their own words is greater than by others', by a margin."""

    def __init__(self, clip: Embedder, margin: float = 0.0) -> None:
        self.clip = clip
        self.margin = margin
        self.texts = clip.embed_texts([words_of(label) for label in CLASSES])

    def passed(self, pictures: list[Image.Image], number: int) -> list[Image.Image]:
        scores = self.clip.scale * self.clip.embed_pictures(pictures) @ self.texts.T
        margins = scores[:, number] - np.delete(scores, number, axis=1).max(axis=1)
        return [picture for picture, margin in zip(pictures, margins, strict=True) if margin > self.margin]


def drawn(drawer: Drawer, count: int, how: Sampling, sheet: Path | None, filter_: Filter | None = None) -> Labelled:
    """Draw `count` pictures of each class that pass the filter, if there is one."""
    every: list[Image.Image] = []
    for number, label in enumerate(CLASSES):
        kept: list[Image.Image] = []
        for seed in range(number, 100 * len(CLASSES), len(CLASSES)):  # rounds, of seeds that no other class has
            missing = count - len(kept)
            spare = 0 if filter_ is None else missing // 4
            request = Request(words=words_of(label), count=missing + spare, seed=seed, how=how)
            found = draw(drawer, request, ranker=None, report=lambda done, total, note: None, say=print)
            pictures = [each.picture for each in found.drawings]
            kept += pictures if filter_ is None else filter_.passed(pictures, number)
            print(f"{label}: {len(kept)} kept", flush=True)
            if len(kept) >= count:
                break
        else:
            raise SystemExit(f"the CLIP names hardly any drawing of a {label} right: {len(kept)} in 100 rounds")
        every += kept[:count]
    if sheet is not None:
        shown = [number * count + place for number in range(len(CLASSES)) for place in range(min(count, _SHOWN))]
        save_sheet([every[place] for place in shown], [CLASSES[place // count] for place in shown], sheet)
    pixels = torch.from_numpy(np.stack([np.asarray(picture.convert("L")) for picture in every]))[:, None]
    return Labelled(pixels, torch.arange(len(CLASSES)).repeat_interleave(count))


def coded(drawer: Drawer, pictures: Labelled) -> Labelled:
    """Return pictures as their codes show them."""
    grey = [Image.fromarray(each).convert("RGB") for each in pictures.pixels[:, 0].numpy()]
    shown = drawer.pictures(drawer.codes(grey))
    pixels = torch.from_numpy(np.stack([np.asarray(picture.convert("L")) for picture in shown]))[:, None]
    return Labelled(pixels, pictures.labels)


def share(right: np.ndarray) -> str:
    found = estimate_mean(right.astype(np.float64))
    return f"{found.mean:.3f} ({found.low:.3f}–{found.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/work/fashion-mnist"))
    parser.add_argument("--count", type=int, default=1000, help="drawings a class")
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--filter", type=Path, help="a CLIP: only drawings that it names right are kept")
    parser.add_argument("--margin", type=float, default=0.0, help="how sure the CLIP must be, in its scores")
    parser.add_argument("--steps", type=int, default=2500, help="how long each classifier learns")
    parser.add_argument("--sheet", type=Path, help="draw some of each class into this file")
    options = parser.parse_args()
    filter_ = Filter(load_embedder(options.filter), options.margin) if options.filter else None
    train, test = real(options.data, "train"), real(options.data, "test")
    how = Sampling(guidance=options.guidance, temperature=options.temperature, top_p=options.top_p)
    drawer = load_drawer(options.run)
    pictures, passed = drawn(drawer, options.count, how, options.sheet, filter_), coded(drawer, test)
    judge, student = learn(train, num_steps=options.steps), learn(pictures, num_steps=options.steps)
    of_train, *others = (features(judge, each) for each in (train, pictures, passed, test))
    distances = [frechet_distance(of_train, each) for each in others]
    shares = [precision_and_recall(of_train, each) for each in others]
    rows = [
        [
            "accuracy of the classifier of real pictures",
            *(share(named(judge, each)) for each in (pictures, passed, test)),
        ],
        ["accuracy on real test pictures of a classifier that learned these", share(named(student, test)), "", ""],
        ["Frechet distance to training pictures", *(f"{each:.2f}" for each in distances)],
        ["times that of test pictures", *(f"{each / distances[-1]:.1f}" for each in distances)],
        ["precision: shares among training pictures", *(f"{precision:.3f}" for precision, _ in shares)],
        ["recall: training pictures among these", *(f"{recall:.3f}" for _, recall in shares)],
    ]
    kept = f" that the CLIP names right by a margin of {options.margin:g}," if options.filter else ""
    of_class = named(judge, pictures).reshape(len(CLASSES), -1).mean(axis=1)
    named_right = [[words_of(label), f"{mean:.3f}"] for label, mean in zip(CLASSES, of_class, strict=True)]
    body = (
        f"{markdown_table(['', 'drawn', 'test pictures through the dVAE', 'test pictures'], rows)}\n\n"
        f"{options.count:,} drawings a class{kept} with guidance {options.guidance:g}, temperature "
        f"{options.temperature:g} and top-p {options.top_p:g}; distances between "
        f"{min(_COMPARED, len(pictures.labels)):,} pictures a side; intervals of 95 %.\n\n"
        f"{markdown_table(['drawn', 'named right'], named_right)}\n"
    )
    print(write_result("fashion_mnist_drawn", __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


if __name__ == "__main__":
    main()
