# SPDX-License-Identifier: Apache-2.0
"""Reads what is known of each feature from TFDV's statistics."""

import math

import numpy as np
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    CommonStatistics,
    DatasetFeatureStatistics,
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
    Histogram,
    NumericStatistics,
)

from components.feature_validator.features import (
    FeatureStatistics,
    Numbers,
    SplitStatistics,
    Texts,
)

_ALL_EXAMPLES = "All Examples"
"""TFDV's name for the slice of everything, where statistics are sliced."""
_UNREADABLE = frozenset({"__BYTES_VALUE__", "__LARGE_BYTES__"})
"""What TFDV writes in place of values that are not UTF-8 or too large."""


def read_split(statistics: DatasetFeatureStatisticsList, split: str) -> SplitStatistics:
    """Reads the statistics of a whole split; slices are left aside.

    Args:
      statistics: TFDV's statistics, with one dataset or one per slice.
      split: Name of the split.

    Returns:
      No features and no examples if TFDV has seen none.
    """
    dataset = DatasetFeatureStatistics()
    for each in statistics.datasets:
        if len(statistics.datasets) == 1 or each.name == _ALL_EXAMPLES:
            dataset = each
    num_examples = int(dataset.num_examples)
    features = [_read_feature(each, num_examples) for each in dataset.features]
    return SplitStatistics(
        split, num_examples, {feature.name: feature for feature in features}
    )


def _read_feature(
    feature: FeatureNameStatistics, num_examples: int
) -> FeatureStatistics:
    kind = feature.WhichOneof("stats")
    common = getattr(feature, kind).common_stats if kind else CommonStatistics()
    num_values = int(common.tot_num_values)
    # To TFDV, an empty list is not missing.
    num_present = min(int(common.num_non_missing), num_values)
    numbers = texts = None
    if kind == "num_stats" and num_values:
        numbers = _read_numbers(feature.num_stats, num_values)
    elif kind == "string_stats" and num_values:
        buckets = feature.string_stats.rank_histogram.buckets
        texts = Texts(
            {bucket.label: int(bucket.sample_count) for bucket in buckets},
            int(feature.string_stats.unique),
            is_readable=not any(bucket.label in _UNREADABLE for bucket in buckets),
        )
    return FeatureStatistics(
        name=feature.name or ".".join(feature.path.step),
        kind=str(FeatureNameStatistics.Type.Name(feature.type)),
        num_examples=num_examples,
        num_present=num_present,
        num_values=num_values,
        min_values=int(common.min_num_values),
        max_values=int(common.max_num_values),
        numbers=numbers,
        texts=texts,
    )


def _read_numbers(numeric: NumericStatistics, num_values: int) -> Numbers:
    standard, quantiles = Histogram(), Histogram()
    for histogram in numeric.histograms:
        if histogram.type == Histogram.QUANTILES:
            quantiles = histogram
        else:
            standard = histogram
    infinite = sum(
        bucket.sample_count
        for bucket in standard.buckets
        if math.isinf(bucket.low_value) or math.isinf(bucket.high_value)
    )
    if not infinite and math.isinf(max(abs(numeric.min), abs(numeric.max))):
        infinite = 1  # At least.
    knots = shares = np.zeros(0)
    if not infinite and math.isfinite(numeric.mean) and quantiles.buckets:
        knots, shares = _distribution(quantiles)
    return Numbers(
        count=num_values,
        mean=numeric.mean,
        std=numeric.std_dev,
        minimum=numeric.min,
        maximum=numeric.max,
        num_zeros=int(numeric.num_zeros),
        num_nan=int(max(standard.num_nan, quantiles.num_nan)),
        num_infinite=round(infinite),
        knots=knots,
        shares=shares,
    )


def _distribution(quantiles: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distribution function as TFDV's quantiles tell it.

    TFDV writes q equally likely buckets (10 by default). Where a value repeats,
    several of them begin and end with it. The counts up to a bucket's end are those of
    the values up to it; only of the smallest value the count is not known, if it does
    not fill a bucket.

    Returns:
      Knots and shares as in `Numbers`: each bound with the share of values below it,
      as far as the buckets tell, and the share of values up to it.
    """
    buckets = quantiles.buckets
    total = math.fsum(bucket.sample_count for bucket in buckets)
    bounds = np.array([buckets[0].low_value, *(b.high_value for b in buckets)])
    counts = np.cumsum([0.0, *(bucket.sample_count for bucket in buckets)])
    values, first = np.unique(bounds, return_index=True)
    last = np.append(first[1:], len(bounds)) - 1
    upper = np.minimum(counts[last] / total, 1.0)
    # The first bound of a repeated value is a quantile: no more than its share of
    # the values lies below it.
    lower = np.minimum(first / len(buckets), upper)
    lower[1:] = np.maximum(lower[1:], upper[:-1])
    knots = np.repeat(values, 2)
    return knots, np.stack([lower, upper], axis=1).ravel()
