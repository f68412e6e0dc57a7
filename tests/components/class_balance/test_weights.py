# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.class_balance.config import ClassBalanceConfig, Weighting
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.weights import class_priors, class_table, class_weights
from components.errors import InputError

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=20)
CONFIGS = st.builds(
    ClassBalanceConfig,
    weighting=st.sampled_from(Weighting),
    beta=st.floats(1e-6, 1 - 1e-12),
    max_weight_ratio=st.floats(1, 1e6),
)


class TestClassWeights:
    @given(COUNTS, CONFIGS)
    def test_mean_over_the_examples_is_one(self, counts, config):
        weights = class_weights(counts, config)
        total = math.fsum(w * n for w, n in zip(weights, counts, strict=True))
        assert total == pytest.approx(sum(counts))

    @given(COUNTS, CONFIGS)
    def test_weights_are_finite_positive_and_within_the_ratio(self, counts, config):
        weights = class_weights(counts, config)
        assert all(math.isfinite(weight) and weight > 0 for weight in weights)
        ratio = max(weights) / min(weights)
        assert ratio <= config.max_weight_ratio * (1 + 1e-9)

    @given(COUNTS, CONFIGS)
    def test_fewer_examples_never_weigh_less(self, counts, config):
        by_count = sorted(zip(counts, class_weights(counts, config), strict=True))
        weights = [weight for _, weight in by_count]
        assert weights == sorted(weights, reverse=True)

    @given(st.integers(1, 10**9), st.integers(1, 50), CONFIGS)
    def test_balanced_classes_weigh_exactly_one(self, count, num_classes, config):
        assert class_weights([count] * num_classes, config) == (1.0,) * num_classes

    def test_effective_number_follows_the_formula(self):
        config = ClassBalanceConfig(beta=0.9, max_weight_ratio=1000)
        rare, frequent = class_weights([1, 20], config)
        assert rare / frequent == pytest.approx((1 - 0.9**20) / (1 - 0.9))

    def test_inverse_frequency_follows_the_formula(self):
        config = ClassBalanceConfig(weighting=Weighting.INVERSE_FREQUENCY)
        rare, frequent = class_weights([10, 70], config)
        assert rare / frequent == pytest.approx(7)

    @pytest.mark.parametrize(("frequent", "ratio"), [(9, 9), (10, 10), (11, 10)])
    def test_ratio_is_capped(self, frequent, ratio):
        config = ClassBalanceConfig(weighting=Weighting.INVERSE_FREQUENCY)
        weights = class_weights([1, frequent], config)
        assert weights[0] / weights[1] == pytest.approx(ratio)

    def test_none_weighs_everything_the_same(self):
        config = ClassBalanceConfig(weighting=Weighting.NONE)
        assert class_weights([1, 0, 1000], config) == (1.0, 1.0, 1.0)

    def test_absent_class_weighs_as_much_as_one_with_one_example(self):
        zero, one, _ = class_weights([0, 1, 100], ClassBalanceConfig())
        assert zero == one

    @pytest.mark.parametrize("counts", [[], [0], [0, 0]])
    def test_without_examples_all_weights_are_one(self, counts):
        assert class_weights(counts, ClassBalanceConfig()) == (1.0,) * len(counts)

    def test_default_lets_large_classes_weigh_the_same(self):
        few, many = class_weights([10_000, 1_000_000], ClassBalanceConfig())
        assert few / many == pytest.approx(1, abs=1e-4)


class TestClassPriors:
    @given(COUNTS.filter(any))
    def test_are_positive_and_sum_to_one(self, counts):
        priors = class_priors(counts)
        assert all(prior > 0 for prior in priors)
        assert math.fsum(priors) == pytest.approx(1)

    def test_are_the_shares_where_each_class_occurs(self):
        assert class_priors([1, 2, 7]) == (0.1, 0.2, 0.7)

    def test_an_absent_class_counts_as_one_example(self):
        assert class_priors([0, 3, 6]) == (0.1, 0.3, 0.6)

    @pytest.mark.parametrize("counts", [[], [0], [0, 0]])
    def test_without_examples_there_are_none(self, counts):
        assert class_priors(counts) == ()


class TestClassTable:
    def test_lists_the_classes_of_all_splits_and_the_schema(self):
        labels = LabelDistribution(
            "y",
            (LabelCounts("train", 6, 6, {3: 6}), LabelCounts("eval", 2, 2, {1: 2})),
            domain=(2,),
        )
        table = class_table(labels, ClassBalanceConfig())
        assert table.label_key == "y"
        assert table.labels == (1, 2, 3)
        assert table.train_counts == (0, 0, 6)
        assert table.weights[2] == 1
        assert table.weighting == "effective_number"
        assert table.priors == (1 / 8, 1 / 8, 6 / 8)

    def test_counts_the_classes_of_each_split_the_training_split_first(self):
        labels = LabelDistribution(
            "y",
            (
                LabelCounts("eval", 2, 2, {1: 2}),
                LabelCounts("train", 9, 9, {1: 3, 2: 6}),
                LabelCounts("test", 9, 9, {1: 1}),
            ),
        )
        counts = class_table(labels, ClassBalanceConfig()).split_counts
        assert list(counts.items()) == [("train", (3, 6)), ("eval", (2, 0))]

    def test_uncounted_labels_get_no_weights(self):
        labels = LabelDistribution("y", (LabelCounts("train", 9, 9, {"a": 7, "b": 1}),))
        table = class_table(labels, ClassBalanceConfig())
        assert table.labels == ("a", "b")
        assert table.train_counts == (7, 1)
        assert table.weights == (1, 1)
        assert table.weighting == "none"
        assert table.priors == ()

    def test_nothing_known_is_an_empty_table(self):
        labels = LabelDistribution("y", (LabelCounts("train", 9, 9, {}),))
        assert class_table(labels, ClassBalanceConfig()).labels == ()

    def test_missing_train_split_is_refused(self):
        labels = LabelDistribution("y", (LabelCounts("training", 9, 9, {"a": 9}),))
        with pytest.raises(InputError, match=r"'train'.*\['training'\]"):
            class_table(labels, ClassBalanceConfig())
