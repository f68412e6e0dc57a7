# SPDX-License-Identifier: Apache-2.0
import collections

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.quantity import refuse_quantity
from components.errors import InputError


def judge(values, **details):
    counts = collections.Counter(values)
    total = len(values)
    split = LabelCounts("train", total, total, counts, **details)
    refuse_quantity(LabelDistribution("y", (split,)), "train")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(load_diabetes().target.astype(int).tolist(), id="diabetes"),
        pytest.param(
            np.random.default_rng(0).lognormal(12, 0.4, 2000).astype(int).tolist(),
            id="prices",
        ),
        pytest.param(list(range(0, 60, 3)), id="20-values-once"),
    ],
)
def test_a_quantity_is_refused(values):
    with pytest.raises(InputError, match=r"'y' of split train.*regression is not"):
        judge(values)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([3, 700], id="two-examples"),
        pytest.param(list(range(0, 57, 3)), id="19-values-once"),
        pytest.param([*range(5000), *range(2000)], id="many-numbered-classes"),
        pytest.param([10**9 * k for k in range(50)] * 3, id="three-of-each-code"),
        pytest.param([str(k * k) for k in range(100)], id="texts"),
        pytest.param([], id="empty"),
    ],
)
def test_classes_are_not(values):
    judge(values)


def test_a_quantity_with_more_values_than_tfdv_counts_is_refused():
    split = LabelCounts(
        "train", 9000, 9000, {k * 40: 2 for k in range(1000)}, num_distinct=8000
    )
    with pytest.raises(InputError, match="8000 different values"):
        refuse_quantity(LabelDistribution("y", (split,)), "train")


def test_positions_are_classes():
    judge([k * k for k in range(100)], one_hot=True)
