# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.feature_validator.checks import form
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import SchemaAnomaly

CONFIG = FeatureConfig(label_key="y", ignore=("id",))
ONES = np.ones(10)


class TestMissingValues:
    def test_complete_features_are_well(self, data):
        assert not form.find_missing_values(
            data(train={"x": ONES}, eval={"x": ONES}), CONFIG
        )

    def test_one_missing_value_blocks_and_is_counted(self, data, feature):
        spoilt = feature("x", np.ones(568), num_examples=569)
        (finding,) = form.find_missing_values(data(train={"x": spoilt}), CONFIG)
        assert (finding.cause, finding.blocks) == ("schema_anomaly", True)
        assert finding.message == (
            "Feature 'x' has no value in 1 of 569 examples of split train."
        )
        assert (finding.subject.split, finding.subject.feature) == ("train", "x")
        assert finding.measured == 1 / 569

    @pytest.mark.parametrize(("missing", "num_found"), [(10, 0), (11, 1)])
    def test_the_allowed_share_itself_is_well(self, data, feature, missing, num_found):
        config = FeatureConfig(max_missing_share=0.1)
        spoilt = feature("x", np.ones(100 - missing), num_examples=100)
        found = form.find_missing_values(data(train={"x": spoilt}), config)
        assert len(found) == num_found

    @pytest.mark.parametrize("absent", [True, False], ids=["no-column", "no-values"])
    def test_a_feature_of_one_split_only_blocks(self, data, feature, absent):
        empty = {} if absent else {"x": feature("x", [1.0], num_values=0, numbers=None)}
        (finding,) = form.find_missing_values(
            data(train={"x": ONES, "z": ONES}, eval={"z": ONES, **empty}), CONFIG
        )
        assert finding.subject.split == "eval"
        assert "no value in any of the 10 examples of split eval" in finding.message
        assert finding.message.endswith("but has in split train.")

    def test_ignored_features_and_the_label_may_be_missing(self, data):
        columns = {"x": ONES, "id": ONES, "y": ONES}
        assert not form.find_missing_values(
            data(train=columns, serving={"x": ONES}), CONFIG
        )

    def test_more_than_five_are_one_finding(self, data, feature):
        columns = {
            f"f{i}": feature(f"f{i}", np.ones(10), num_examples=11 + i)
            for i in range(200)
        }
        (finding,) = form.find_missing_values(data(train=columns), CONFIG)
        assert finding.subject.feature is None
        assert finding.message.startswith("200 features of split train have no value")
        assert finding.evidence["num_features"] == 200
        assert len(finding.evidence["features"]) == 100

    def test_an_empty_split_has_nothing_to_miss(self, data):
        assert not form.find_missing_values(data(train={"x": ONES}, eval={}), CONFIG)


class TestRaggedFeatures:
    @pytest.mark.parametrize(
        ("fewest", "most", "num_found"),
        [(64, 64, 0), (63, 64, 1), (0, 1, 0), (0, 2, 1)],
        ids=["equal", "ragged", "missing", "empty"],
    )
    def test_values_per_example(self, data, feature, fewest, most, num_found):
        column = feature("x", ONES, min_values=fewest, max_values=most)
        found = form.find_ragged_features(data(train={"x": column}), CONFIG)
        assert [finding.cause for finding in found] == ["schema_anomaly"] * num_found

    def test_another_number_of_values_in_another_split_blocks(self, data, feature):
        splits = {
            split: {"x": feature("x", ONES, min_values=n, max_values=n)}
            for split, n in (("train", 64), ("eval", 63))
        }
        (finding,) = form.find_ragged_features(data(**splits), CONFIG)
        assert "63 values per example of split eval (64 in split" in finding.message

    def test_ignored_features_may_be_ragged(self, data, feature):
        column = feature("id", ONES, min_values=1, max_values=3)
        assert not form.find_ragged_features(data(train={"id": column}), CONFIG)


class TestTypeDifferences:
    def test_another_type_blocks(self, data):
        (finding,) = form.find_type_differences(
            data(train={"x": ONES}, eval={"x": np.array(["1", "2"])}), CONFIG
        )
        assert finding.message == (
            "Feature 'x' is STRING in split eval, but FLOAT in split train."
        )

    @pytest.mark.parametrize(("skewed", "num_found"), [(set(), 1), ({"eval"}, 0)])
    def test_fractions_for_whole_numbers_are_part_of_skew(
        self, data, skewed, num_found
    ):
        splits = data(train={"x": np.arange(9)}, eval={"x": np.arange(9) / 9})
        assert len(form.find_type_differences(splits, CONFIG, skewed)) == num_found

    def test_equal_types_are_well(self, data):
        assert not form.find_type_differences(
            data(train={"x": ONES}, eval={"x": ONES, "z": ONES}), CONFIG
        )


class TestSchemaAnomalies:
    def anomaly(self, feature, *types, is_error=True):
        return SchemaAnomaly("eval", feature, types, "What TFDV says.", is_error)

    @pytest.mark.parametrize(("is_error", "blocks"), [(True, True), (False, False)])
    def test_an_error_blocks_and_a_warning_warns(self, data, is_error, blocks):
        anomaly = self.anomaly("x", "ENUM_TYPE_UNEXPECTED", is_error=is_error)
        (finding,) = form.find_schema_anomalies(
            data([anomaly], train={"x": ONES}), CONFIG
        )
        assert (finding.cause, finding.blocks) == ("schema_anomaly", blocks)
        assert (finding.subject.split, finding.subject.feature) == ("eval", "x")
        assert finding.message == (
            "ExampleValidator on feature 'x' of split eval: What TFDV says."
        )

    def test_an_anomaly_of_the_data_set_names_no_feature(self, data):
        anomaly = self.anomaly(None, "DATASET_LOW_NUM_EXAMPLES")
        (finding,) = form.find_schema_anomalies(data([anomaly], train={}), CONFIG)
        assert finding.subject.feature is None

    def test_distances_are_skew(self, data):
        anomaly = self.anomaly("x", "COMPARATOR_L_INFTY_HIGH")
        (finding,) = form.find_schema_anomalies(data([anomaly], train={}), CONFIG)
        assert finding.cause == "train_eval_skew"

    def test_what_is_not_passed_on(self, data):
        anomalies = [
            self.anomaly("id", "UNEXPECTED_DATA_TYPE"),
            self.anomaly("y", "DOMAIN_INVALID_FOR_TYPE"),
            self.anomaly("x", "UNEXPECTED_DATA_TYPE"),
        ]
        assert not form.find_schema_anomalies(
            data(anomalies, train={"x": ONES}), CONFIG, skewed={"eval"}
        )

    def test_texts_for_numbers_are_never_part_of_skew(self, data):
        anomalies = [self.anomaly("x", "UNEXPECTED_DATA_TYPE")]
        splits = data(anomalies, train={"x": ONES}, eval={"x": ["a"]})
        assert form.find_schema_anomalies(splits, CONFIG, skewed={"eval"})

    def test_the_label_is_judged(self, data):
        anomalies = [self.anomaly("y", "UNEXPECTED_DATA_TYPE")]
        assert form.find_schema_anomalies(data(anomalies, train={}), CONFIG)
