# SPDX-License-Identifier: Apache-2.0
"""The label in TFDV's statistics: how to have it counted, and how to read it."""

import dataclasses
import difflib
from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    CommonStatistics,
    DatasetFeatureStatistics,
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
)

from components.class_balance import one_hot as one_hot_labels
from components.class_balance.label_counts import LabelCounts
from components.errors import InputError
from components.labels import LabelValue, parse_label

_ALL_EXAMPLES = "All Examples"
"""TFDV's name for the slice of everything, where statistics are sliced."""
_UNREADABLE = frozenset({"__BYTES_VALUE__", "__LARGE_BYTES__"})
"""What TFDV writes in place of values that are not UTF-8 or too large."""
_MAX_COLUMNS_NAMED = 20
_DEFAULT_NUM_CLASSES = 1000
"""TFDV's own number of buckets in a rank histogram."""


_MAX_NUM_CLASSES = 16_384
"""TFDV's limit on buckets beside statistics of positions."""


def label_statistics_options(
    label_key: str,
    *,
    num_classes: int = _DEFAULT_NUM_CLASSES,
    one_hot: bool = False,
) -> tfdv.StatsOptions:
    """Returns options with which TFDV counts every value of the label.

    TFDV counts the values of text features, but takes an integer for a quantity
    unless a schema says that it is categorical; these options bring such a
    schema, with the label as its only feature. TFDV counts by the data type it
    finds, so the same options serve integer and text labels. The statistics of
    other features stay as they are.

    The options survive `to_json` and `from_json`, as StatisticsGen needs it:

        StatisticsGen(
            examples=example_gen.outputs["examples"],
            stats_options=label_statistics_options("label", num_classes=10),
        )

    StatisticsGen refuses options with a schema beside a `schema` input. Where it
    has one, set `int_domain.is_categorical` of the label there instead.

    Args:
      label_key: Name of the label feature.
      num_classes: Largest number of classes that there may be. TFDV always
        counts the 1000 most frequent values.
      one_hot: Whether the label is `num_classes` integers per example, one of
        them 1 and the others 0. Above 10 classes the histograms of all features then
        have two buckets per class.

    Raises:
      InputError: If `label_key` is empty, or `num_classes` less than 1, or above
        16384 for a one-hot label.
    """
    if not label_key or num_classes < 1:
        raise InputError(
            "label_statistics_options: expected the name of the label and at least "
            f"1 class, but got label_key={label_key!r}, num_classes={num_classes}; "
            "give the label's column name and the number of its values"
        )
    if one_hot and num_classes > _MAX_NUM_CLASSES:
        raise InputError(
            "label_statistics_options: expected at most "
            f"{_MAX_NUM_CLASSES} classes of a one-hot label, but got "
            f"num_classes={num_classes}; write the class as one integer"
        )
    schema = schema_pb2.Schema()
    label = schema.feature.add(name=label_key, type=schema_pb2.INT)
    if one_hot:
        one_hot_labels.ask_for_positions(label)
        return tfdv.StatsOptions(
            schema=schema,
            num_histogram_buckets=one_hot_labels.num_buckets(num_classes),
        )
    label.int_domain.is_categorical = True
    return tfdv.StatsOptions(
        schema=schema,
        num_rank_histogram_buckets=max(num_classes, _DEFAULT_NUM_CLASSES),
    )


def read_label_counts(
    statistics: Mapping[str, DatasetFeatureStatisticsList],
    label_key: str,
    sample_rates: Mapping[str, float] | None = None,
) -> tuple[LabelCounts, ...]:
    """Reads how often each class occurs in each split.

    A split in which no example has the column, or which is empty, has no labels.
    A label that TFDV did not count (an integer that it took for a quantity) has
    labels but no counts: `LabelCounts.is_complete` is false. The classes of a one-hot
    label are the positions 0 to K-1.

    Args:
      statistics: TFDV's statistics by split.
      label_key: Name of the label feature.
      sample_rates: Share of each split that the statistics were computed from;
        a split that is not named was not sampled.

    Raises:
      InputError: If no split has the label, or if it is not an integer or a text
        of which each example has at most one, nor a one-hot label whose positions
        were counted.
    """
    datasets = {split: _all_examples(stats) for split, stats in statistics.items()}
    columns = {
        name for dataset in datasets.values() for name in map(_name, dataset.features)
    }
    if label_key not in columns:
        raise InputError(_no_such_label(label_key, sorted(columns)))
    return tuple(
        _read_split(split, dataset, label_key, (sample_rates or {}).get(split, 1.0))
        for split, dataset in datasets.items()
    )


def read_label_slices(
    statistics: Mapping[str, DatasetFeatureStatisticsList], label_key: str
) -> tuple[LabelCounts, ...]:
    """Reads how often each class occurs in each slice of each split.

    StatisticsGen computes them if its options hold a `slicing_config`. Slices by the
    label itself are left out.

    Args:
      statistics: TFDV's statistics by split.
      label_key: Name of the label feature.

    Raises:
      InputError: As `read_label_counts`.
    """
    return tuple(
        dataclasses.replace(counts, slice=slice_name(dataset))
        for split, stats in statistics.items()
        for dataset in stats.datasets
        if len(stats.datasets) > 1 and dataset.name != _ALL_EXAMPLES
        for counts in [_read_split(split, dataset, label_key, 1.0)]
        if not _is_slice_by_label(dataset.name, label_key, counts)
    )


def slice_name(dataset: DatasetFeatureStatistics) -> str:
    """Returns `feature=value` for what TFDV calls `feature_value`.

    A slice by several features stays as TFDV calls it; the name is then ambiguous.
    """
    columns = [_name(feature) for feature in dataset.features]
    sliced_by = [c for c in columns if f"_{dataset.name}".find(f"_{c}_") >= 0]
    # `site_id` in a data set that also has `site` or `id`: one feature, not two.
    longest = max(sliced_by, key=len, default="")
    rest = dataset.name.removeprefix(f"{longest}_")
    if not longest or rest == dataset.name:
        return dataset.name
    if any(f"_{rest}".find(f"_{c}_") >= 0 for c in columns):
        return dataset.name
    return f"{longest}={rest}"


def _is_slice_by_label(name: str, label_key: str, counts: LabelCounts) -> bool:
    if len(counts.counts) != 1:
        return False
    return f"_{label_key}_{next(iter(counts.counts))}_" in f"_{name}_"


def _all_examples(
    statistics: DatasetFeatureStatisticsList,
) -> DatasetFeatureStatistics:
    """Returns the statistics of everything, an empty one if there is none."""
    if len(statistics.datasets) == 1:
        return statistics.datasets[0]
    for dataset in statistics.datasets:
        if dataset.name == _ALL_EXAMPLES:
            return dataset
    return DatasetFeatureStatistics()


def _name(feature: FeatureNameStatistics) -> str:
    return feature.name or ".".join(feature.path.step)


def _no_such_label(label_key: str, columns: list[str]) -> str:
    named = ", ".join(map(repr, columns[:_MAX_COLUMNS_NAMED])) or "none at all"
    if len(columns) > _MAX_COLUMNS_NAMED:
        named += f" and {len(columns) - _MAX_COLUMNS_NAMED} more"
    nearest = difflib.get_close_matches(label_key, columns, n=1)
    way_out = f"did you mean {nearest[0]!r}?" if nearest else "name one of these"
    if not columns:
        way_out = "make sure that the splits hold examples"
    return (
        f"statistics: expected a column {label_key!r} with the label, but the "
        f"columns are {named}; {way_out}"
    )


def _read_split(
    split: str,
    dataset: DatasetFeatureStatistics,
    label_key: str,
    sample_rate: float,
) -> LabelCounts:
    num_examples = int(dataset.num_examples)
    feature = next((f for f in dataset.features if _name(f) == label_key), None)
    common = _common_statistics(feature)
    # An example whose label is an empty list is "not missing" to TFDV, so count
    # values; there is at most one per example, as is checked below.
    num_labelled = int(common.tot_num_values)
    if feature is None or not num_labelled:
        return LabelCounts(split, num_examples, 0, {}, sample_rate)
    if common.max_num_values > 1 or num_labelled > num_examples:
        by_position = one_hot_labels.read_one_hot_counts(feature)
        if not by_position:
            raise InputError(_several_values(feature, split, label_key))
        return LabelCounts(
            split,
            num_examples,
            sum(by_position.values()),
            by_position,
            sample_rate,
            one_hot=True,
        )
    _check_type(feature, split, label_key)
    counts: dict[LabelValue, int] = {}
    integer = feature.type == FeatureNameStatistics.INT
    for bucket in feature.string_stats.rank_histogram.buckets:
        if not integer and bucket.label in _UNREADABLE:
            raise InputError(
                f"label {label_key!r} of split {split}: expected integers or short "
                f"UTF-8 texts, but {int(bucket.sample_count)} examples have a value "
                "that is neither; write the class as a number or a name"
            )
        counts[parse_label(bucket.label, integer=integer)] = int(bucket.sample_count)
    num_distinct = int(feature.string_stats.unique) or None
    return LabelCounts(
        split, num_examples, num_labelled, counts, sample_rate, num_distinct
    )


def _several_values(feature: FeatureNameStatistics, split: str, label_key: str) -> str:
    length = int(max(_common_statistics(feature).max_num_values, 2))
    message = (
        f"label {label_key!r} of split {split}: expected one value per example, but "
        f"some examples have {length}; "
    )
    if not one_hot_labels.is_like_one_hot(feature):
        return message + (
            "give each example a single label (several labels per example are not "
            "supported)"
        )
    if feature.type == FeatureNameStatistics.INT:
        return message + (
            "if the label is one-hot, give StatisticsGen "
            f"`stats_options=label_statistics_options({label_key!r}, "
            f"num_classes={length}, one_hot=True)`, or write the class as one integer"
        )
    return message + (
        "if the label is one-hot, write the class as one integer, or the label as "
        f"integers: TFDV does not tell positions of {_type_name(feature)} values"
    )


def _type_name(feature: FeatureNameStatistics) -> str:
    return str(FeatureNameStatistics.Type.Name(feature.type))


def _common_statistics(
    feature: FeatureNameStatistics | None,
) -> CommonStatistics:
    kind = feature.WhichOneof("stats") if feature is not None else None
    if kind is None:
        return CommonStatistics()
    return getattr(feature, kind).common_stats


def _check_type(feature: FeatureNameStatistics, split: str, label_key: str) -> None:
    if feature.type in (FeatureNameStatistics.INT, FeatureNameStatistics.STRING):
        return
    kind = _type_name(feature)
    way_out = "write the class as a number or a name"
    if feature.type == FeatureNameStatistics.FLOAT:
        way_out = (
            "if the numbers are classes, store them as integers; regression is not "
            "supported"
        )
    raise InputError(
        f"label {label_key!r} of split {split}: expected integers or texts, as a "
        f"classifier needs them, but the data type is {kind}; {way_out}"
    )
