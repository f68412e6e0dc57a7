# SPDX-License-Identifier: Apache-2.0
import collections

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from sklearn.datasets import load_digits
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.class_balance.statistics import (
    label_statistics_options,
    read_label_counts,
    read_label_slices,
)
from components.errors import InputError

DIGITS = load_digits()
TARGETS = DIGITS.target.tolist()
INTEGERS = (TARGETS, pa.int64())
TEXTS = ([f"digit {target}" for target in TARGETS], pa.large_binary())
OTHERS = {
    "pixel": (DIGITS.data[:, 10].tolist(), pa.float32()),
    "rounded_pixel": (DIGITS.data[:, 11].astype(int).tolist(), pa.int64()),
    "name": ([f"name {target}" for target in TARGETS], pa.large_binary()),
}


def features(statistics):
    return {f.path.step[0]: f for f in statistics.datasets[0].features}


class TestLabelStatisticsOptions:
    @pytest.mark.parametrize("label", [INTEGERS, TEXTS], ids=["integers", "texts"])
    def test_every_value_of_the_label_is_counted(self, compute_statistics, label):
        statistics = compute_statistics(
            {"label": label, **OTHERS}, label_statistics_options("label")
        )
        (counts,) = read_label_counts({"train": statistics}, "label")
        assert counts.split == "train"
        assert counts.num_examples == counts.num_labelled == len(TARGETS)
        assert counts.counts == collections.Counter(label[0])
        assert counts.is_complete

    def test_other_features_are_not_disturbed(self, compute_statistics):
        columns = {"label": INTEGERS, **OTHERS}
        stock = features(compute_statistics(columns))
        ours = features(compute_statistics(columns, label_statistics_options("label")))
        assert ours.keys() == stock.keys()
        assert {name for name in stock if ours[name] != stock[name]} == {"label"}

    @pytest.mark.parametrize(("num_classes", "is_complete"), [(1200, True), (1, False)])
    def test_more_classes_than_tfdv_counts_must_be_announced(
        self, compute_statistics, num_classes, is_complete
    ):
        statistics = compute_statistics(
            {"label": (list(range(1200)), pa.int64())},
            label_statistics_options("label", num_classes=num_classes),
        )
        (counts,) = read_label_counts({"train": statistics}, "label")
        assert counts.is_complete is is_complete
        assert counts.num_labelled == 1200
        assert counts.num_counted == (1200 if is_complete else 1000)

    def test_schema_gen_and_example_validator_accept_the_statistics(
        self, compute_statistics
    ):
        splits = [
            compute_statistics(
                {"label": (labels, pa.int64())}, label_statistics_options("label")
            )
            for labels in (TARGETS[:1437], TARGETS[1437:])
        ]
        # SchemaGen infers from the first split and updates with the others.
        schema = tfdv.infer_schema(splits[0])
        for statistics in splits[1:]:
            schema = tfdv.update_schema(schema, statistics)
        for statistics in splits:
            assert not tfdv.validate_statistics(statistics, schema).anomaly_info

    @pytest.mark.parametrize(("label_key", "num_classes"), [("", 2), ("y", 0)])
    def test_senseless_arguments_are_refused(self, label_key, num_classes):
        with pytest.raises(InputError, match="label_statistics_options"):
            label_statistics_options(label_key, num_classes=num_classes)


class TestReadLabelCounts:
    def test_stock_statistics_of_integers_have_labels_but_no_counts(
        self, compute_statistics
    ):
        statistics = compute_statistics({"label": INTEGERS})
        (counts,) = read_label_counts({"train": statistics}, "label")
        assert counts.num_labelled == len(TARGETS)
        assert counts.counts == {}
        assert not counts.is_complete

    def test_missing_and_empty_labels_are_unlabelled(self, compute_statistics):
        statistics = compute_statistics(
            {"label": ([1, None, [], 2, 2], pa.int64())},
            label_statistics_options("label"),
        )
        (counts,) = read_label_counts({"train": statistics}, "label")
        assert counts.num_unlabelled == 2
        assert counts.counts == {1: 1, 2: 2}

    def test_splits_without_the_column_or_without_examples_have_no_labels(
        self, compute_statistics
    ):
        train = compute_statistics(
            {"label": ([1, 2], pa.int64())}, label_statistics_options("label")
        )
        other = compute_statistics({"x": ([1.0], pa.float32())})
        nulls = compute_statistics({"label": ([None, None], pa.int64())})
        empty = compute_statistics({"label": ([], pa.int64())})
        nothing = statistics_pb2.DatasetFeatureStatisticsList()
        splits = {
            "train": train,
            "other": other,
            "nulls": nulls,
            "empty": empty,
            "nothing": nothing,
        }
        _, *without = read_label_counts(splits, "label", {"other": 0.5})
        assert [split.num_examples for split in without] == [1, 2, 0, 0]
        assert {split.num_labelled for split in without} == {0}
        assert [split.sample_rate for split in without] == [0.5, 1, 1, 1]

    def test_of_sliced_statistics_the_whole_is_read(self, compute_statistics):
        statistics = compute_statistics(
            {"label": ([1, 2, 2], pa.int64())}, label_statistics_options("label")
        )
        statistics.datasets[0].name = "All Examples"
        statistics.datasets.add(name="label_1", num_examples=1)
        (counts,) = read_label_counts({"train": statistics}, "label")
        assert counts.counts == {1: 1, 2: 2}

    def test_absent_label_names_the_columns_and_the_nearest(self, compute_statistics):
        statistics = compute_statistics({"label": INTEGERS, **OTHERS})
        with pytest.raises(InputError) as caught:
            read_label_counts({"train": statistics, "eval": statistics}, "labels")
        assert "column 'labels'" in str(caught.value)
        assert "'label', 'name', 'pixel', 'rounded_pixel'" in str(caught.value)
        assert "did you mean 'label'?" in str(caught.value)

    def test_absent_label_without_any_examples(self):
        with pytest.raises(InputError, match="none at all; make sure"):
            read_label_counts(
                {"train": statistics_pb2.DatasetFeatureStatisticsList()}, "label"
            )

    @pytest.mark.parametrize(
        ("values", "kind", "message"),
        [
            pytest.param(
                [1.0, 2.0], pa.float32(), "is FLOAT; .* regression is not", id="float"
            ),
            pytest.param(
                [[1, 2], 1], pa.int64(), "one value per example", id="several-values"
            ),
            pytest.param(
                [b"\xff\xfe", b"a"], pa.large_binary(), "UTF-8", id="not-utf-8"
            ),
        ],
    )
    def test_labels_that_no_classifier_can_use_are_refused(
        self, compute_statistics, values, kind, message
    ):
        statistics = compute_statistics(
            {"label": (values, kind)}, label_statistics_options("label")
        )
        with pytest.raises(InputError, match=message):
            read_label_counts({"train": statistics}, "label")


class TestReadLabelSlices:
    @pytest.fixture
    def statistics(self, compute_statistics):
        from tfx_bsl.public.proto import slicing_spec_pb2

        options = label_statistics_options("label")
        slicing = slicing_spec_pb2.SlicingConfig()
        for features in (["site_id"], ["label"], ["site_id", "kind"]):
            slicing.slicing_specs.add(feature_keys=features)
        options.slicing_config = slicing
        return compute_statistics(
            {
                "label": ([0, 1, 1, 1], pa.int64()),
                "site_id": (["a", "b", "b_c", "b"], pa.large_binary()),
                "kind": ([7, 7, 7, 7], pa.int64()),
            },
            options,
        )

    def test_slices_are_named_and_those_by_the_label_left_out(self, statistics):
        slices = read_label_slices({"eval": statistics}, "label")
        assert {part.split for part in slices} == {"eval"}
        assert {part.slice: dict(part.counts) for part in slices} == {
            "site_id=a": {0: 1},
            "site_id=b": {1: 2},
            "site_id=b_c": {1: 1},
            "kind_7_site_id_a": {0: 1},
            "kind_7_site_id_b": {1: 2},
            "kind_7_site_id_b_c": {1: 1},
        }

    def test_without_slicing_there_are_none(self, compute_statistics):
        statistics = compute_statistics({"label": INTEGERS})
        assert read_label_slices({"train": statistics}, "label") == ()
