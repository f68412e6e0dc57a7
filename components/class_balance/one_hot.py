# SPDX-License-Identifier: Apache-2.0
"""Labels of K integers per example, of which one is 1 and the others are 0.

TFDV's usual statistics of such a label do not tell the position of the 1. Its
statistics of natural language do: where each token stands in its sequence. A label
is a sequence of the tokens 0 and 1.
"""

from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    FeatureNameStatistics,
    NaturalLanguageStatistics,
)

from components.labels import LabelValue

_STATISTICS_NAME = "nl_statistics"
_MIN_BUCKETS = 10  # TFDV's own number of buckets of a histogram.


def ask_for_positions(label: schema_pb2.Feature) -> None:
    """Makes TFDV count where 0 and 1 stand in the label."""
    domain = label.natural_language_domain
    # Without an excluded token or a vocabulary TFDV leaves the domain alone.
    domain.coverage.excluded_int_tokens.append(0)
    for token in (0, 1):
        domain.token_constraints.add(int_value=token)


def num_buckets(num_classes: int) -> int:
    """Returns how many buckets keep K positions apart.

    TFDV sorts position i of K into bucket int(i / K * buckets); with twice as many
    buckets as positions, no rounding puts two positions into one.
    """
    if num_classes <= _MIN_BUCKETS:
        return _MIN_BUCKETS
    return 2 * num_classes


def read_one_hot_counts(feature: FeatureNameStatistics) -> dict[LabelValue, int]:
    """Returns how often each position holds the 1.

    Args:
      feature: Statistics of the label, computed with `ask_for_positions`.

    Returns:
      Examples by position, those that occur; empty if the statistics do not prove
      that each label is one 1 and K - 1 zeros, or do not hold its positions.
    """
    common = feature.string_stats.common_stats
    length = int(common.max_num_values)
    tokens = {token.int_token: token for token in _read(feature).token_statistics}
    if length < 2 or set(tokens) != {0, 1}:
        return {}
    zeros, ones = tokens[0], tokens[1]
    # Each label holds one 1 and K - 1 zeros. A label of another length has another
    # number of zeros, or, if it is [0] or [1], spoils the totals.
    if not (
        ones.per_sequence_min_frequency == ones.per_sequence_max_frequency == 1
        and zeros.per_sequence_min_frequency == length - 1
        and zeros.per_sequence_max_frequency == length - 1
        and zeros.frequency == (length - 1) * ones.frequency
        and zeros.frequency + ones.frequency == common.tot_num_values
    ):
        return {}
    first = ones.positions.buckets[0]
    buckets = round(1 / (first.high_value - first.low_value))
    # As TFDV computes it, with its rounding.
    position_of = {int(float(i) / length * buckets): i for i in range(length)}
    if len(position_of) < length:
        return {}
    return {
        position_of[round(bucket.low_value * buckets)]: int(bucket.sample_count)
        for bucket in ones.positions.buckets
    }


def is_like_one_hot(feature: FeatureNameStatistics) -> bool:
    """Whether usual statistics suggest K values per example, one 1 and the rest 0."""
    kind = feature.WhichOneof("stats")
    if kind is None:
        return False
    common = getattr(feature, kind).common_stats
    length, total = common.max_num_values, common.tot_num_values
    if length < 2 or common.min_num_values not in (0, length):
        return False
    if kind == "num_stats":
        numbers = feature.num_stats
        return (numbers.min, numbers.max) == (0, 1) and (
            numbers.num_zeros * length == total * (length - 1)
        )
    counts = {
        bucket.label: bucket.sample_count
        for bucket in feature.string_stats.rank_histogram.buckets
    }
    return set(counts) == {"0", "1"} and counts["1"] * length == total


def _read(feature: FeatureNameStatistics) -> NaturalLanguageStatistics:
    statistics = NaturalLanguageStatistics()
    for custom in feature.custom_stats:
        if custom.name == _STATISTICS_NAME:
            custom.any.Unpack(statistics)
    return statistics
