"""Open Metric Learning's own datasets, samplers, miners, losses and re-ranker around the image tower of a CLIP.

    oml_runner.py FOLDER

Runs in Limner's environment, with the peer's packages behind its own. FOLDER/settings.json says how; FOLDER gets
`first.npy` (an embedding a drawing of test.csv), `FAMILY.order.npy` for each family that asks (places in its gallery,
best first, re-ranked) and `times.json`. Both models are trained as the library's own STIR example trains them, by the
clock: batch-hard triplets, then pairs of the hardest of a batch, the trunk frozen at first. It freezes by the model's
own switch, since the example's callback is never called any more.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

# torchvision's CUDA build registers fakes for two operators that its library for CPU lacks.
_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

FOLDER = Path(sys.argv[1])
SETTINGS = json.loads((FOLDER / "settings.json").read_text())
sys.path.append(SETTINGS["packages"])

import pandas as pd  # noqa: E402
from oml.datasets import ImageLabeledDataset, ImageQueryGalleryLabeledDataset  # noqa: E402
from oml.inference import inference  # noqa: E402
from oml.interfaces.models import IExtractor  # noqa: E402
from oml.losses import TripletLossWithMiner  # noqa: E402
from oml.miners import HardTripletsMiner  # noqa: E402
from oml.miners.pairs import PairsMiner  # noqa: E402
from oml.models import ConcatSiamese  # noqa: E402
from oml.retrieval import PairwiseReranker, RetrievalResults  # noqa: E402
from oml.samplers import BalanceSampler  # noqa: E402
from oml.transforms.images.torchvision import get_augs_hypvit, get_normalisation_resize_hypvit  # noqa: E402
from oml.utils.misc_torch import normalise  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from limner.models.clip import CLIP  # noqa: E402
from limner.search.embedder import load_embedder  # noqa: E402

_MARGIN = 0.15
_HEAD_RATE = 2e-3
_FROZEN_SHARE = 1 / 3
_PAIRS_MIN_SCALE = 0.8
_AT_ONCE = 128
_AS_IT_IS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""The tower normalises pictures itself."""


class Tower(IExtractor):
    """The image tower of a CLIP, as the library's extractors are."""

    def __init__(self, clip: CLIP) -> None:
        super().__init__()
        self.vision, self.image_projection = clip.vision, clip.image_projection
        self.feat_dim_of_tower = clip.config.embed_dim
        self.normalise_features = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.image_projection(self.vision(x))
        return normalise(features) if self.normalise_features else features

    @property
    def feat_dim(self) -> int:
        return self.feat_dim_of_tower


def main() -> None:
    torch.set_num_threads(SETTINGS["threads"])
    torch.manual_seed(0)
    np.random.seed(0)
    extractor = Tower(load_embedder(SETTINGS["start"]).model)
    train, test = (pd.read_csv(SETTINGS[name]) for name in ("train", "test"))
    size = SETTINGS["image_size"]
    plain = get_normalisation_resize_hypvit(size, size, **_AS_IT_IS)
    times: dict[str, object] = {"extractor_steps": train_extractor(extractor, train)}
    asked = ImageQueryGalleryLabeledDataset(test.assign(is_query=True, is_gallery=True), transform=plain)
    features = inference(extractor, asked, batch_size=_AT_ONCE)
    np.save(FOLDER / "first.npy", features.numpy())

    cached = inference(extractor, ImageLabeledDataset(train, transform=plain), batch_size=_AT_ONCE)
    extractor.normalise_features = False
    siamese = ConcatSiamese(extractor, mlp_hidden_dims=[extractor.feat_dim // 2])
    times["reranker_steps"] = train_reranker(siamese, train, cached)
    reranker = PairwiseReranker(top_n=SETTINGS["depth"], pairwise_model=siamese, num_workers=0, batch_size=_AT_ONCE)
    pairs, seconds = 0, 0.0
    for name, places in SETTINGS["families"].items():
        rows = pd.concat(
            [
                test.iloc[places["asking"]].assign(is_query=True, is_gallery=False),
                test.iloc[places["gallery"]].assign(is_query=False, is_gallery=True),
            ]
        ).reset_index(drop=True)
        dataset = ImageQueryGalleryLabeledDataset(rows, transform=plain)
        vectors = features[places["asking"] + places["gallery"]]
        first = RetrievalResults.from_embeddings(vectors, dataset, n_items=SETTINGS["depth"])
        started = time.perf_counter()
        again = reranker.process(first, dataset)
        seconds += time.perf_counter() - started
        pairs += sum(len(found) for found in first.retrieved_ids)
        np.save(FOLDER / f"{name}.order.npy", torch.stack(list(again.retrieved_ids)).numpy())
    (FOLDER / "times.json").write_text(json.dumps(times | {"pairs": pairs, "seconds": seconds}))


def balanced(frame: pd.DataFrame, transform: object, num_labels: int, num_instances: int):
    """Yield batches of labels, several pictures of each, epoch after epoch."""
    dataset = ImageLabeledDataset(frame, transform=transform)
    sampler = BalanceSampler(dataset.get_labels(), n_labels=num_labels, n_instances=num_instances)
    loader = DataLoader(dataset, batch_sampler=sampler)
    while True:
        yield from loader


def step_if_finite(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> bool:
    """Make a step, unless the gradient is not finite: the library's distance has none where two vectors are equal."""
    optimizer.zero_grad()
    loss.backward()
    gradients = [
        weight.grad for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None
    ]
    is_finite = bool(torch.nn.utils.get_total_norm(gradients).isfinite())
    if is_finite:
        optimizer.step()
    return is_finite


def train_extractor(extractor: Tower, frame: pd.DataFrame) -> tuple[int, int]:
    """Train by batch-hard triplets until the time is up; return how many steps were made, and how many left out."""
    augment = get_augs_hypvit(SETTINGS["image_size"], **_AS_IT_IS)
    criterion = TripletLossWithMiner(_MARGIN, HardTripletsMiner())
    optimizer = torch.optim.AdamW(extractor.parameters(), lr=SETTINGS["rate"])
    extractor.train()
    end = time.perf_counter() + SETTINGS["extractor_seconds"]
    steps = {True: 0, False: 0}
    for batch in balanced(frame, augment, SETTINGS["num_labels"], SETTINGS["num_instances"]):
        steps[step_if_finite(optimizer, criterion(extractor(batch["input_tensors"]), batch["labels"]))] += 1
        if time.perf_counter() >= end:
            break
    extractor.eval()
    return steps[True], steps[False]


def train_reranker(siamese: ConcatSiamese, frame: pd.DataFrame, cached: torch.Tensor) -> tuple[int, int]:
    """Train on the hardest pairs of batches, likewise."""
    augment = get_augs_hypvit(SETTINGS["image_size"], min_scale=_PAIRS_MIN_SCALE, **_AS_IT_IS)
    miner, criterion = PairsMiner(hard_mining=True), torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(siamese.parameters(), lr=_HEAD_RATE)
    siamese.train()
    siamese.freeze()
    started = time.perf_counter()
    steps = {True: 0, False: 0}
    for batch in balanced(frame, augment, SETTINGS["pair_labels"], SETTINGS["num_instances"]):
        spent = time.perf_counter() - started
        if not siamese.train_backbone and spent > _FROZEN_SHARE * SETTINGS["reranker_seconds"]:
            siamese.unfreeze()
            optimizer.param_groups[0]["lr"] = SETTINGS["rate"]
        one, other, is_negative = miner.sample(cached[batch["idx"]], batch["labels"].tolist())
        images = batch["input_tensors"]
        steps[step_if_finite(optimizer, criterion(siamese(images[one], images[other]), is_negative.float()))] += 1
        if spent >= SETTINGS["reranker_seconds"]:
            break
    siamese.eval()
    return steps[True], steps[False]


if __name__ == "__main__":
    main()
