"""Runs inside the peer's environment: Open Metric Learning's own datasets, models, samplers, miners and re-ranker.

    oml_runner.py FOLDER

FOLDER/settings.json says how; FOLDER gets `first.npy` (an embedding a drawing of test.csv), `NAME.order.npy` for each
family that asks (places in its gallery, best first, re-ranked) and `times.json`. Both models are trained as the
library's own STIR example trains them, by the clock: batch-hard triplets, then pairs of the hardest of a batch, the
trunk frozen at first. It freezes by the model's own switch, since the example's callback is never called any more.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch

# torchvision's CUDA build registers fakes for two operators that its library for CPU lacks.
_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from oml.datasets import ImageLabeledDataset, ImageQueryGalleryLabeledDataset  # noqa: E402
from oml.inference import inference  # noqa: E402
from oml.losses import TripletLossWithMiner  # noqa: E402
from oml.miners import HardTripletsMiner  # noqa: E402
from oml.miners.pairs import PairsMiner  # noqa: E402
from oml.models import ConcatSiamese, ViTExtractor  # noqa: E402
from oml.models.vit_dino.external.vision_transformer import VisionTransformer  # noqa: E402
from oml.retrieval import PairwiseReranker, RetrievalResults  # noqa: E402
from oml.samplers import BalanceSampler  # noqa: E402
from oml.transforms.images.torchvision import get_augs_hypvit, get_normalisation_resize_hypvit  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

_MARGIN = 0.15
_HEAD_RATE = 2e-3
_FROZEN_SHARE = 1 / 3
_PAIRS_MIN_SCALE = 0.8
_AT_ONCE = 128


def main() -> None:
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)
    np.random.seed(0)
    extractor = make_extractor(settings)
    train, test = (pd.read_csv(settings[name]) for name in ("train", "test"))
    size = settings["image_size"]
    plain = get_normalisation_resize_hypvit(size, size)
    times: dict[str, float] = {"num_parameters": sum(weight.numel() for weight in extractor.parameters())}

    times["extractor_steps"] = train_extractor(extractor, train, settings)
    asked = ImageQueryGalleryLabeledDataset(test.assign(is_query=True, is_gallery=True), transform=plain)
    features = inference(extractor, asked, batch_size=_AT_ONCE)
    np.save(folder / "first.npy", features.numpy())

    cached = inference(extractor, ImageLabeledDataset(train, transform=plain), batch_size=_AT_ONCE)
    extractor.normalise_features = False
    siamese = ConcatSiamese(extractor, mlp_hidden_dims=[settings["hidden_dim"]], use_tta=settings["use_tta"])
    times["reranker_steps"] = train_reranker(siamese, train, cached, settings)
    reranker = PairwiseReranker(top_n=settings["depth"], pairwise_model=siamese, num_workers=0, batch_size=_AT_ONCE)
    times["pairs"] = times["seconds"] = 0
    for name, places in settings["families"].items():
        rows = pd.concat(
            [
                test.iloc[places["asking"]].assign(is_query=True, is_gallery=False),
                test.iloc[places["gallery"]].assign(is_query=False, is_gallery=True),
            ]
        ).reset_index(drop=True)
        dataset = ImageQueryGalleryLabeledDataset(rows, transform=plain)
        vectors = features[places["asking"] + places["gallery"]]
        first = RetrievalResults.from_embeddings(vectors, dataset, n_items=settings["depth"])
        started = time.perf_counter()
        again = reranker.process(first, dataset)
        times["seconds"] += time.perf_counter() - started
        times["pairs"] += sum(len(found) for found in first.retrieved_ids)
        np.save(folder / f"{name}.order.npy", torch.stack(list(again.retrieved_ids)).numpy())
    (folder / "times.json").write_text(json.dumps(times))


def make_extractor(settings: dict) -> ViTExtractor:
    """Return the library's vision transformer of the given sizes, with random weights."""
    sizes = {name: settings[name] for name in ("embed_dim", "depth", "num_heads", "patch_size")}
    sizes["depth"] = settings["num_layers"]
    ViTExtractor.constructors["small"] = lambda pretrained: VisionTransformer(
        img_size=[settings["image_size"]], mlp_ratio=4, qkv_bias=True, **sizes
    )
    return ViTExtractor(None, arch="small", normalise_features=True)


def balanced(frame: pd.DataFrame, transform: object, num_labels: int, num_instances: int):
    """Yield batches of labels, several pictures of each, epoch after epoch."""
    dataset = ImageLabeledDataset(frame, transform=transform)
    sampler = BalanceSampler(dataset.get_labels(), n_labels=num_labels, n_instances=num_instances)
    loader = DataLoader(dataset, batch_sampler=sampler)
    while True:
        yield from loader


def train_extractor(extractor: ViTExtractor, frame: pd.DataFrame, settings: dict) -> int:
    """Train by batch-hard triplets until the time is up, and return the number of steps."""
    augment = get_augs_hypvit(settings["image_size"])
    criterion = TripletLossWithMiner(_MARGIN, HardTripletsMiner())
    optimizer = torch.optim.AdamW(extractor.parameters(), lr=settings["rate"])
    extractor.train()
    end = time.perf_counter() + settings["extractor_seconds"]
    for step, batch in enumerate(balanced(frame, augment, settings["num_labels"], settings["num_instances"])):
        loss = criterion(extractor(batch["input_tensors"]), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"extractor, step {step}: {loss.item():.4f}", flush=True)
        if time.perf_counter() >= end:
            break
    extractor.eval()
    return step + 1


def train_reranker(siamese: ConcatSiamese, frame: pd.DataFrame, cached: torch.Tensor, settings: dict) -> int:
    """Train on the hardest pairs of batches until the time is up, and return the number of steps."""
    augment = get_augs_hypvit(settings["image_size"], min_scale=_PAIRS_MIN_SCALE)
    miner, criterion = PairsMiner(hard_mining=True), torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(siamese.parameters(), lr=_HEAD_RATE)
    siamese.train()
    siamese.freeze()
    started = time.perf_counter()
    for step, batch in enumerate(balanced(frame, augment, settings["pair_labels"], settings["num_instances"])):
        spent = time.perf_counter() - started
        if not siamese.train_backbone and spent > _FROZEN_SHARE * settings["reranker_seconds"]:
            siamese.unfreeze()
            optimizer.param_groups[0]["lr"] = settings["rate"]
        one, other, is_negative = miner.sample(cached[batch["idx"]], batch["labels"].tolist())
        images = batch["input_tensors"]
        loss = criterion(siamese(images[one], images[other]), is_negative.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"re-ranker, step {step}: {loss.item():.4f}", flush=True)
        if spent >= settings["reranker_seconds"]:
            break
    siamese.eval()
    return step + 1


if __name__ == "__main__":
    main()
