# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.feature_validator.features import (
    DataStatistics,
    FeatureStatistics,
    Numbers,
    SplitStatistics,
    Texts,
)

NUM_BUCKETS = 10


def read_numbers(values):
    """The statistics that TFDV keeps of numbers; deciles as it takes them."""
    values = np.asarray(values, np.float32).astype(np.float64).ravel()
    known = np.sort(values[~np.isnan(values)])
    num_infinite = int(np.isinf(values).sum())
    finite = len(known) > 0 and not num_infinite
    details = {}
    if finite:
        ends = np.arange(NUM_BUCKETS + 1) * len(known) // NUM_BUCKETS
        bounds = known[np.minimum(ends, len(known) - 1)]
        knots, first = np.unique(bounds, return_index=True)
        last = np.append(first[1:], len(bounds)) - 1
        upper = np.searchsorted(known, knots, side="right") / len(known)
        upper[0] = upper[0] if last[0] else 0
        lower = np.minimum(first / NUM_BUCKETS, upper)
        lower[1:] = np.maximum(lower[1:], upper[:-1])
        details = {
            "knots": np.repeat(knots, 2),
            "shares": np.stack([lower, upper], axis=1).ravel(),
        }
    return Numbers(
        count=len(values),
        mean=float(known.mean()) if finite else float("nan"),
        std=float(known.std()) if finite else 0.0,
        minimum=float(known[0]) if len(known) else 0.0,
        maximum=float(known[-1]) if len(known) else 0.0,
        num_zeros=int((known == 0).sum()),
        num_nan=int(np.isnan(values).sum()),
        num_infinite=num_infinite,
        **details,
    )


def read_texts(values):
    names, counts = np.unique(values, return_counts=True)
    return Texts(dict(zip(names.tolist(), counts.tolist(), strict=True)), len(names))


def make_feature(name, values, **details):
    """A feature of one value per example; floats, whole numbers or texts."""
    values = np.asarray(values)
    kind = {"U": "STRING", "f": "FLOAT", "i": "INT"}[values.dtype.kind]
    known = {"texts" if kind == "STRING" else "numbers": None}
    if len(values):
        read = read_texts if kind == "STRING" else read_numbers
        known = {next(iter(known)): read(values)}
    return FeatureStatistics(
        **{
            "name": name,
            "kind": kind,
            "num_examples": len(values),
            "num_present": len(values),
            "num_values": len(values),
            **known,
            **details,
        }
    )


def make_split(name, columns):
    features = {}
    num_examples = 0
    for key, values in columns.items():
        feature = (
            values
            if isinstance(values, FeatureStatistics)
            else make_feature(key, values)
        )
        features[key] = feature
        num_examples = max(num_examples, feature.num_examples)
    return SplitStatistics(name, num_examples, features)


@pytest.fixture(scope="session")
def feature():
    return make_feature


@pytest.fixture(scope="session")
def data():
    """Statistics of columns by split, the first being the reference."""

    def make(anomalies=(), **splits):
        reference, *others = (make_split(*item) for item in splits.items())
        return DataStatistics(reference, tuple(others), tuple(anomalies))

    return make


@pytest.fixture(scope="session")
def table():
    """Names the columns of a matrix `f0`, `f1` and so on."""

    def make(matrix):
        return {f"f{i}": column for i, column in enumerate(np.asarray(matrix).T)}

    return make
