# SPDX-License-Identifier: Apache-2.0
"""What the guards that read statistics cost, beside the statistics themselves.

Two splits, 1000 numeric features, one label of 1000 classes. StatisticsGen's work is
TFDV's on the very same rows; its own passes over files come on top of it.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.class_balance import core as balance
from components.class_balance import weights
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelDistribution
from components.class_balance.statistics import (
    label_statistics_options,
    read_label_counts,
    read_label_slices,
)
from components.feature_validator import core as features
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import DataStatistics
from components.feature_validator.statistics import read_split

NUM_FEATURES, NUM_CLASSES, ROUNDS = 1000, 1000, 5
ROWS = {"train": 4000, "eval": 2000}


def generate(num_rows, seed):
    rng = np.random.default_rng(seed)
    label = np.concatenate(
        [np.arange(NUM_CLASSES), rng.integers(0, NUM_CLASSES, num_rows - NUM_CLASSES)]
    )
    columns = {"label": label}
    for i in range(NUM_FEATURES):
        columns[f"f{i}"] = rng.normal(i, 1, num_rows).astype(np.float32)
    offsets = np.arange(num_rows + 1)
    return pa.RecordBatch.from_arrays(
        [pa.LargeListArray.from_arrays(offsets, pa.array(v)) for v in columns.values()],
        list(columns),
    )


def compute(batch, path):
    options = label_statistics_options("label", num_classes=NUM_CLASSES)
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create([batch.slice(i, 1000) for i in range(0, len(batch), 1000)])
            | tfdv.GenerateStatistics(options)
            | tfdv.WriteStatisticsToBinaryFile(path)
        )
    with open(path, "rb") as file:
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())


def check_balance(protos):
    config = ClassBalanceConfig()
    labels = LabelDistribution(
        "label",
        read_label_counts(protos, "label"),
        slices=read_label_slices(protos, "label"),
    )
    weights.class_table(labels, config)
    return [finding for check in balance.CHECKS for finding in check(labels, config)]


def check_features(protos):
    reference, other = (read_split(proto, name) for name, proto in protos.items())
    config = FeatureConfig(label_key="label")
    return features.judge(DataStatistics(reference, (other,)), config)


def reverse(proto):
    """The same statistics, had the columns been written in reverse order."""
    reversed_proto = statistics_pb2.DatasetFeatureStatisticsList()
    reversed_proto.CopyFrom(proto)
    for feature in reversed_proto.datasets[0].features:
        (name,) = feature.path.step
        if name != "label":
            feature.path.step[0] = f"f{NUM_FEATURES - 1 - int(name[1:])}"
    return reversed_proto


def seconds(work, argument):
    start = time.perf_counter()
    work(argument)
    return time.perf_counter() - start


def main():
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "data_guards_cost.pb")
    batches = {name: generate(rows, len(name)) for name, rows in ROWS.items()}
    start = time.perf_counter()
    protos = {name: compute(batch, path) for name, batch in batches.items()}
    base = time.perf_counter() - start
    os.remove(path)
    swapped = {**protos, "eval": reverse(protos["eval"])}
    print(f"TFDV, {sum(ROWS.values())} rows: {base:.2f} s")
    for name, work, argument in (
        ("ClassBalanceValidator", check_balance, protos),
        ("FeatureValidator", check_features, protos),
        ("FeatureValidator, all columns reversed", check_features, swapped),
    ):
        times = [seconds(work, argument) for _ in range(ROUNDS)]
        median = statistics.median(times)
        print(
            f"{name}: {median:.3f} s ({min(times):.3f} to {max(times):.3f}), "
            f"{median / base:.4f} of it"
        )


if __name__ == "__main__":
    main()
