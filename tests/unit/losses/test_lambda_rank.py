import itertools
import json
import math
from collections.abc import Callable, Iterator

import lightgbm
import numpy as np
import pytest
import torch
import xgboost
from tests.unit.losses.largest_tensor import LargestTensor
from tests.unit.losses.ranked_lists import published_gradient, random_lists
from torch import Tensor

from limner.losses.lambda_rank import lambda_rank


def naive_lambda_rank(scores: Tensor, grades: Tensor, mask: Tensor, sigma: float, truncation: int) -> float:
    rows = []
    for s, y, m in zip(scores.tolist(), grades.tolist(), mask.tolist(), strict=True):
        items = [i for i in range(len(s)) if m[i]]
        order = sorted(items, key=lambda i: -s[i])
        rank = {item: place + 1 for place, item in enumerate(order)}
        best = sorted((y[i] for i in items), reverse=True)[:truncation]
        ideal = sum((2**g - 1) / math.log2(2 + place) for place, g in enumerate(best))
        if not ideal:
            continue
        total = 0.0
        for i in items:
            for j in items:
                if y[i] > y[j] and min(rank[i], rank[j]) <= truncation:
                    change = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
                    change *= (2 ** y[i] - 2 ** y[j]) / ideal
                    total += change * math.log(1 + math.exp(-sigma * (s[i] - s[j])))
        rows.append(total)
    return sum(rows) / len(rows)


@pytest.mark.parametrize("truncation", [1, 2, 4, 6, 99])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_a_double_loop(seed: int, truncation: int) -> None:
    scores, grades, mask = random_lists(seed)
    value = lambda_rank(scores, grades, mask, sigma=1.3, truncation=truncation)
    assert value.item() == pytest.approx(naive_lambda_rank(scores, grades, mask, 1.3, truncation), rel=1e-9)


@pytest.mark.parametrize(
    ("truncation", "expected_value", "expected"),
    [
        (None, 0.1537212, [-0.0084049, 0.0024974, 0.0300436, -0.024136, 0.0399356, -0.0294652, -0.0104705]),
        (2, 0.1765728, [-0.0094539, 0.0024343, 0.0356994, -0.0286797, 0.0449276, -0.0331483, -0.0117793]),
    ],
)
def test_it_is_that_of_sentence_transformers(
    truncation: int | None, expected_value: float, expected: list[float]
) -> None:
    # Printed by LambdaLoss(LambdaRankScheme(), reduction_log="natural", k=truncation) of sentence-transformers 6.2.0,
    # which takes the mean over the pairs of both lists: 6 and 3, less 1 beyond the first two ranks of the first list.
    num_pairs = 9 if truncation is None else 8
    value, gradient = published_gradient(lambda *lists: lambda_rank(*lists, truncation=truncation))
    assert value * 2 / num_pairs == pytest.approx(expected_value, rel=1e-6)
    torch.testing.assert_close(gradient * 2 / num_pairs, torch.tensor(expected), rtol=0, atol=2e-7)


def test_it_is_that_of_allrank() -> None:
    # Printed by lambdaLoss(weighing_scheme="lambdaRank_scheme", reduction_log="natural", reduction="sum") of allRank
    # 1.4.3 for both lists together.
    value, gradient = published_gradient(lambda_rank)
    assert value * 2 == pytest.approx(1.3834907, rel=1e-6)
    expected = [-0.0756444, 0.0224768, 0.270392, -0.2172244, 0.3594205, -0.2651864, -0.0942341]
    torch.testing.assert_close(gradient * 2, torch.tensor(expected), rtol=0, atol=5e-7)


def our_gradient(scores: Tensor, grades: Tensor, truncation: int) -> np.ndarray:
    scores = scores[None].clone().requires_grad_()
    lambda_rank(scores, grades[None], truncation=truncation).backward()
    assert scores.grad is not None
    return scores.grad[0].numpy()


def list_with_a_tie(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(8, generator=generator, dtype=torch.float64) * 1.5
    scores[5] = scores[2]
    return scores, torch.tensor([0, 1, 2, 3, 0, 1, 0, 2])[torch.randperm(8, generator=generator)]


def leaves(node: dict, children: tuple[str, ...]) -> Iterator[dict]:
    """Yield the leaves below a node of a dumped tree, whose children stand under these names (or one, in a list)."""
    below = [node[name] for name in children if name in node]
    below = below[0] if below and isinstance(below[0], list) else below
    yield from itertools.chain.from_iterable(leaves(child, children) for child in below) if below else [node]


# One boosting round in which (nearly) every item is a leaf of its own: a leaf's value is -gradient / hessian, and the
# hessian is its weight. Each item has one binary feature, so that any item can be split off.


def lightgbm_leaves(scores: Tensor, grades: Tensor, truncation: int) -> tuple[np.ndarray, dict[int, float]]:
    """Return the leaf of each item, and the gradient of each leaf."""
    size = len(scores)
    parameters = {
        "objective": "lambdarank",
        "lambdarank_norm": False,
        "lambdarank_truncation_level": truncation,
        "sigmoid": 1.0,
        "learning_rate": 1.0,
        "num_leaves": 2 * size,
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "min_sum_hessian_in_leaf": 0.0,
        "enable_bundle": False,
        "feature_pre_filter": False,
        "num_threads": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(np.eye(size), grades.numpy(), group=[size], init_score=scores.numpy(), params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=1)
    tree = booster.dump_model()["tree_info"][0]["tree_structure"]
    found = {leaf["leaf_index"]: leaf for leaf in leaves(tree, ("left_child", "right_child"))}
    places = booster.predict(np.eye(size), pred_leaf=True).reshape(-1)
    return places, {place: -leaf["leaf_value"] * leaf["leaf_weight"] for place, leaf in found.items()}


def xgboost_leaves(scores: Tensor, grades: Tensor, truncation: int) -> tuple[np.ndarray, dict[int, float]]:
    """Return the leaf of each item, and the gradient of each leaf."""
    size = len(scores)
    parameters = {
        "objective": "rank:ndcg",
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": truncation,
        "lambdarank_normalization": False,
        "lambdarank_score_normalization": False,
        "ndcg_exp_gain": True,
        "eta": 1.0,
        "max_depth": 2 * size,
        "min_child_weight": 0.0,
        "lambda": 0.0,
        "nthread": 1,
    }
    data = xgboost.DMatrix(np.eye(size), grades.numpy(), base_margin=scores.numpy(), group=[size])
    booster = xgboost.train(parameters, data, num_boost_round=1)
    tree = json.loads(booster.get_dump(with_stats=True, dump_format="json")[0])
    found = {leaf["nodeid"]: leaf for leaf in leaves(tree, ("children",))}
    places = booster.predict(data, pred_leaf=True).reshape(-1).astype(int)
    return places, {place: -leaf["leaf"] * leaf["cover"] for place, leaf in found.items()}


@pytest.mark.parametrize("truncation", [2, 3, 8])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("library", [lightgbm_leaves, xgboost_leaves])
def test_its_gradient_is_that_of_boosted_trees(library: Callable, seed: int, truncation: int) -> None:
    scores, grades = list_with_a_tie(seed)
    ours = our_gradient(scores, grades, truncation)
    places, theirs = library(scores, grades, truncation)
    assert len(theirs) >= 4
    for place, gradient in theirs.items():
        assert ours[places == place].sum() == pytest.approx(gradient, abs=1e-5)


def test_memory_grows_with_the_truncation_and_the_list() -> None:
    scores = torch.randn(2, 5000, requires_grad=True)
    with LargestTensor() as largest:
        lambda_rank(scores, torch.randint(0, 4, (2, 5000)), truncation=10).backward()
    assert largest.num_elements == 2 * 10 * 5000


def test_equal_scores_rank_in_the_order_of_the_list() -> None:
    scores = torch.zeros(1, 3, requires_grad=True)
    lambda_rank(scores, torch.tensor([[0, 0, 1]])).backward()
    changes = [1 - 1 / math.log2(4), 1 / math.log2(3) - 1 / math.log2(4)]
    expected = torch.tensor([[changes[0] / 2, changes[1] / 2, -sum(changes) / 2]])
    torch.testing.assert_close(scores.grad, expected)
