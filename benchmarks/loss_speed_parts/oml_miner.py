"""OML's all-triplets miner, timed in an environment that has open-metric-learning; prints seconds.

PYTHON benchmarks/loss_speed_parts/oml_miner.py BATCH EMBED_DIM PER_LABEL
"""

import json
import statistics
import sys
import time

import torch
from oml.miners.inbatch_all_tri import AllTripletsMiner


def main() -> None:
    size, embed_dim, per_label = map(int, sys.argv[1:])
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(size)
    vectors = torch.nn.functional.normalize(torch.randn(size, embed_dim, generator=generator), dim=1)
    labels = [place // per_label for place in range(size)]
    miner = AllTripletsMiner()
    seconds: dict[str, list[float]] = {"triplets": [], "seconds": []}
    for turn in range(6):
        began = time.perf_counter()
        anchors, positives, negatives = miner.sample(vectors, labels)
        chosen = time.perf_counter()
        gaps = (anchors - positives).norm(dim=1) - (anchors - negatives).norm(dim=1)
        if turn:
            seconds["triplets"].append(chosen - began)
            seconds["seconds"].append(time.perf_counter() - began)
    print(json.dumps({name: statistics.median(values) for name, values in seconds.items()} | {"count": len(gaps)}))


if __name__ == "__main__":
    main()
