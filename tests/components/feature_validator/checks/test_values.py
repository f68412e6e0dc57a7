# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from components.feature_validator.checks import values
from components.feature_validator.config import FeatureConfig

CONFIG = FeatureConfig(label_key="y", ignore=("id",))
NORMAL = np.random.default_rng(0).normal(0, 1, 1000)


class TestNotANumber:
    @pytest.mark.parametrize(
        ("spoilt", "words"),
        [
            ([1.0, np.nan, np.nan], "2 NaN and 0 infinite values among the 3"),
            ([1.0, np.inf, -np.inf, np.nan], "1 NaN and 2 infinite"),
            ([np.nan], "1 NaN and 0 infinite values among the 1"),
        ],
    )
    def test_blocks_and_counts(self, data, spoilt, words):
        (finding,) = values.find_not_a_number(
            data(train={"x": NORMAL}, eval={"x": spoilt}), CONFIG
        )
        assert (finding.cause, finding.blocks) == ("not_a_number", True)
        assert (finding.subject.split, finding.subject.feature) == ("eval", "x")
        assert words in finding.message

    def test_numbers_texts_and_ignored_features_are_well(self, data):
        columns = {"x": NORMAL, "t": ["a"], "id": [np.nan], "y": [np.nan]}
        assert not values.find_not_a_number(data(train=columns), CONFIG)


class TestLowVariance:
    @pytest.mark.parametrize(
        ("column", "num_found"),
        [
            (NORMAL, 0),
            (np.full(1000, 5.5), 1),
            (np.array(["a"] * 1000), 1),
            (np.array(["a"] * 999 + ["b"]), 1),
            (np.array(["a"] * 998 + ["b"] * 2), 0),
            (np.array([0] * 999 + [3]), 1),
            (np.array([0] * 998 + [3, 4]), 0),
            (NORMAL * 1e-3 + 1e4, 1),
            (NORMAL + 1e4, 0),
        ],
        ids=[
            "varied",
            "constant",
            "constant-text",
            "text-at-the-limit",
            "text-below-the-limit",
            "zeros-at-the-limit",
            "zeros-below-the-limit",
            "mostly-rounding",
            "large-but-varied",
        ],
    )
    def test_constant_or_nearly_so_warns(self, data, column, num_found):
        columns = {"varied": NORMAL, "x": column}
        found = values.find_low_variance(data(train=columns), CONFIG)
        assert [finding.blocks for finding in found] == [False] * num_found
        assert {finding.subject.feature for finding in found} <= {"x"}

    def test_all_features_constant_blocks(self, data):
        columns = {"a": np.zeros(9), "b": np.ones(9), "id": np.arange(9)}
        (finding,) = values.find_low_variance(data(train=columns), CONFIG)
        assert finding.blocks
        assert "Each of the 2 features has the same value" in finding.message

    def test_a_single_example_does_not(self, data):
        found = values.find_low_variance(data(train={"a": [1.0]}), CONFIG)
        assert not any(finding.blocks for finding in found)

    def test_edge_pixels_of_the_digits_warn(self, data, table):
        columns = table(load_digits().data)
        found = values.find_low_variance(data(train=columns), CONFIG)
        assert not any(finding.blocks for finding in found)
        assert {"f0", "f32", "f39"} <= {finding.subject.feature for finding in found}

    def test_other_splits_are_not_judged(self, data):
        assert not values.find_low_variance(
            data(train={"x": NORMAL}, eval={"x": np.ones(9)}), CONFIG
        )

    def test_without_features_nothing_is_found(self, data):
        assert not values.find_low_variance(data(train={}), CONFIG)


class TestUnscaledInput:
    @pytest.mark.parametrize(
        ("column", "num_found"),
        [
            ([128.0, -128.0], 0),
            ([128.5, -128.5], 1),
            ([2**-7, 0.0], 0),
            ([2**-7 - 2**-20, 0.0], 1),
            ([0.0, 0.0], 0),
            ([0.0] * 9999 + [1.0], 0),
        ],
        ids=["large-limit", "larger", "small-limit", "smaller", "zeros", "rare-one"],
    )
    def test_sizes_far_from_one_warn(self, data, column, num_found):
        config = FeatureConfig(max_scale=128)  # Its inverse is a float, too.
        found = values.find_unscaled_input(data(train={"x": column}), config)
        assert [finding.blocks for finding in found] == [False] * num_found

    def test_areas_of_breast_cancer_and_raw_pixels(self, data, table):
        columns = table(load_breast_cancer().data)
        pixels = np.random.default_rng(0).integers(0, 256, 500)
        found = values.find_unscaled_input(
            data(train={**columns, "pixels": pixels}), CONFIG
        )
        named = {finding.subject.feature for finding in found}
        assert {"f3", "f23", "pixels"} <= named
        assert "Normalization" in found[0].remedy
