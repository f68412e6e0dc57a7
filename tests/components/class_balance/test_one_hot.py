# SPDX-License-Identifier: Apache-2.0
import collections

import numpy as np
import pyarrow as pa
import pytest

from components.class_balance.one_hot import num_buckets
from components.class_balance.statistics import (
    label_statistics_options,
    read_label_counts,
)
from components.errors import InputError


def encode(labels, num_classes):
    return np.eye(num_classes, dtype=int)[labels].tolist()


@pytest.fixture
def read(compute_statistics):
    def read(values, *, kind=None, one_hot=True, num_classes):
        options = label_statistics_options(
            "y", num_classes=num_classes, one_hot=one_hot
        )
        statistics = compute_statistics({"y": (values, kind or pa.int64())}, options)
        return read_label_counts({"train": statistics}, "y")[0]

    return read


@pytest.mark.parametrize("num_classes", [2, 29])
def test_each_position_is_counted(read, num_classes):
    labels = np.random.default_rng(0).integers(0, num_classes, 300).tolist()
    counts = read(encode(labels, num_classes), num_classes=num_classes)
    assert counts.counts == collections.Counter(labels)
    assert counts.one_hot
    assert counts.is_complete


def test_missing_labels_are_unlabelled(read):
    values = [*encode([0, 1, 2, 2], 3), None, []]
    counts = read(values, num_classes=3)
    assert counts.counts == {0: 1, 1: 1, 2: 2}
    assert counts.num_unlabelled == 2


@pytest.mark.parametrize(
    "odd",
    [[1, 1, 0], [0, 0, 0], [0, 2, 0], [1, 0]],
    ids=str,
)
def test_a_label_that_is_not_one_hot_is_refused(read, odd):
    with pytest.raises(InputError, match="one value per example"):
        read([*encode([0, 1, 2, 2], 3), odd], num_classes=3)


@pytest.mark.parametrize("one_hot", [False, True], ids=["usual", "asked-for"])
def test_floats_are_refused_with_the_way_out(read, one_hot):
    values = np.eye(3)[[0, 1, 2, 2]].tolist()
    with pytest.raises(InputError, match="write the class as one integer"):
        read(values, kind=pa.float32(), one_hot=one_hot, num_classes=3)


def test_usual_statistics_name_the_option(read):
    with pytest.raises(InputError, match=r"num_classes=3, one_hot=True\)"):
        read(encode([0, 1, 2, 2], 3), one_hot=False, num_classes=3)


def test_too_few_buckets_for_the_classes_are_refused(read):
    with pytest.raises(InputError, match="num_classes=12, one_hot=True"):
        read(encode(list(range(12)), 12), num_classes=5)


@pytest.mark.parametrize("num_classes", range(2, 1200, 7))
def test_no_two_positions_share_a_bucket(num_classes):
    buckets = num_buckets(num_classes)
    positions = {int(float(i) / num_classes * buckets) for i in range(num_classes)}
    assert len(positions) == num_classes
