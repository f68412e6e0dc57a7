# SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.class_balance import core
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.errors import InputError
from components.findings import Verdict

CONFIG = ClassBalanceConfig()


def split(name, counts, *, unlabelled=0, uncounted=0, sample_rate=1.0):
    labelled = sum(counts.values()) + uncounted
    return LabelCounts(name, labelled + unlabelled, labelled, counts, sample_rate)


def labels(*splits, domain=()):
    return LabelDistribution("y", splits, domain)


def judge(distribution, config=CONFIG):
    return Verdict.of(*(check(distribution, config) for check in core.CHECKS))


def causes(verdict):
    return [finding.cause for finding in verdict.findings]


BALANCED = {"a": 50, "b": 50}


class TestAllChecks:
    def test_balanced_splits_have_no_findings(self):
        assert not judge(
            labels(split("train", BALANCED), split("eval", {"a": 9, "b": 11}))
        ).findings

    def test_no_splits_have_no_findings(self):
        assert not judge(labels()).findings

    @given(
        st.lists(
            st.dictionaries(st.integers(-5, 30), st.integers(1, 10**9), max_size=12),
            max_size=4,
        ),
        st.lists(st.integers(-5, 30), max_size=5),
    )
    def test_every_finding_is_complete_and_fits_into_json(self, counts, domain):
        splits = [split(f"s{i}", count) for i, count in enumerate(counts)]
        for finding in judge(labels(*splits, domain=tuple(domain))).findings:
            json.dumps(finding.evidence, allow_nan=False)
            assert finding.unit
            assert finding.found_by == "ClassBalanceValidator"
            assert math.isfinite(finding.measured)
            assert math.isfinite(finding.limit)

    @given(
        st.dictionaries(st.integers(0, 9), st.integers(1, 99), min_size=1),
        st.dictionaries(st.integers(0, 9), st.integers(1, 99), min_size=1),
    )
    def test_splits_miss_no_class_only_with_the_same_two_or_more(self, train, other):
        verdict = judge(labels(split("train", train), split("eval", other)))
        complete = train.keys() == other.keys() and len(train) > 1
        assert ("missing_class" not in causes(verdict)) == complete
        # The classes may be the same, and distributed in the opposite way.
        assert {finding.cause for finding in verdict.blocking} <= {
            "missing_class",
            "train_eval_skew",
        }


class TestUncountedLabels:
    def test_fully_counted_is_well(self):
        assert not core.find_uncounted_labels(labels(split("train", BALANCED)), CONFIG)

    @pytest.mark.parametrize("counts", [BALANCED, {}], ids=["truncated", "not-counted"])
    def test_one_label_short_blocks_and_names_the_way_out(self, counts):
        found = core.find_uncounted_labels(
            labels(split("train", counts, uncounted=1)), CONFIG
        )
        (finding,) = found
        assert finding.cause == "check_failed"
        assert finding.blocks
        assert finding.subject.split == "train"
        assert (finding.measured, finding.limit) == (
            sum(counts.values()),
            sum(counts.values()) + 1,
        )
        assert "label_statistics_options('y'" in finding.remedy

    def test_an_uncounted_split_is_judged_by_nothing_else(self):
        verdict = judge(
            labels(
                split("train", {"a": 1000, "b": 1}, uncounted=5),
                split("eval", {"a": 9, "b": 9, "c": 9}),
            )
        )
        assert causes(verdict) == ["check_failed"]

    def test_classes_of_an_uncounted_split_are_asked_of_the_others(self):
        verdict = judge(
            labels(
                split("train", {"a": 5, "c": 5}, uncounted=5), split("eval", BALANCED)
            )
        )
        assert causes(verdict) == ["missing_class", "check_failed"]
        assert verdict.findings[0].subject.class_name == "c"


class TestUnlabelledExamples:
    def test_all_labelled_is_well(self):
        assert not core.find_unlabelled_examples(
            labels(split("train", BALANCED)), CONFIG
        )

    def test_a_single_unlabelled_example_blocks(self):
        (finding,) = core.find_unlabelled_examples(
            labels(split("eval", BALANCED, unlabelled=1)), CONFIG
        )
        assert finding.cause == "schema_anomaly"
        assert finding.blocks
        assert finding.message.startswith("1 of 101 examples of split eval")
        assert finding.measured == 1 / 101
        assert finding.limit == 0

    @pytest.mark.parametrize(("unlabelled", "num_found"), [(100, 0), (101, 1)])
    def test_the_allowed_share_itself_is_well(self, unlabelled, num_found):
        config = ClassBalanceConfig(max_unlabelled_share=0.5)
        found = core.find_unlabelled_examples(
            labels(split("train", BALANCED, unlabelled=unlabelled)), config
        )
        assert len(found) == num_found


class TestUnknownClasses:
    @pytest.mark.parametrize("domain", [(), ("a", "b"), ("a", "b", "c")])
    def test_classes_of_the_schema_or_no_schema_are_well(self, domain):
        distribution = labels(split("train", BALANCED), domain=domain)
        assert not core.find_unknown_classes(distribution, CONFIG)

    def test_a_class_outside_the_schema_blocks_and_is_named_and_counted(self):
        distribution = labels(
            split("train", {**BALANCED, "B": 2}),
            split("eval", BALANCED),
            domain=("a", "b"),
        )
        (finding,) = judge(distribution).blocking
        assert finding.cause == "schema_anomaly"
        assert (finding.subject.split, finding.subject.class_name) == ("train", "B")
        assert (finding.measured, finding.limit) == (2, 0)
        assert "2 of 102 labels 'y' of split train are of class 'B'" in finding.message

    def test_several_are_one_finding(self):
        distribution = labels(split("train", {1: 5, 2: 5, 7: 1, 8: 2}), domain=(1, 2))
        (finding,) = core.find_unknown_classes(distribution, CONFIG)
        assert finding.subject.class_name is None
        assert finding.evidence == {"counts": {"7": 1, "8": 2}, "num_unknown": 2}


class TestMissingClasses:
    def test_class_of_another_split_is_missed(self):
        (finding,) = core.find_missing_classes(
            labels(split("train", BALANCED), split("eval", {"a": 7})), CONFIG
        )
        assert finding.cause == "missing_class"
        assert finding.blocks
        assert finding.subject.split == "eval"
        assert finding.subject.class_name == "b"
        assert finding.measured == 1
        assert "no example of class 'b' among its 7 labelled" in finding.message

    def test_class_of_the_schema_is_missed_in_every_split(self):
        found = core.find_missing_classes(
            labels(split("train", BALANCED), split("eval", BALANCED), domain=("c",)),
            CONFIG,
        )
        assert [finding.subject.split for finding in found] == ["train", "eval"]

    @pytest.mark.parametrize(
        ("num_absent", "words"),
        [(5, "classes 2, 3, 4, 5, 6 among"), (6, "classes 2, 3, 4, 5, 6 and 1 more")],
    )
    def test_message_names_at_most_five_classes(self, num_absent, words):
        everything = dict.fromkeys(range(2 + num_absent), 3)
        (finding,) = core.find_missing_classes(
            labels(split("train", everything), split("eval", {0: 3, 1: 3})), CONFIG
        )
        assert words in finding.message
        assert finding.evidence["absent"] == list(range(2, 2 + num_absent))
        assert finding.evidence["num_absent"] == num_absent
        assert finding.subject.class_name is None

    def test_evidence_is_bounded(self):
        everything = dict.fromkeys(range(5000), 1)
        (finding,) = core.find_missing_classes(
            labels(split("train", everything), split("eval", {0: 3})), CONFIG
        )
        assert len(finding.evidence["absent"]) == 1000
        assert finding.evidence["num_absent"] == 4999

    @pytest.mark.parametrize(
        ("unlabelled", "words"),
        [(0, "Split eval holds no examples"), (3, "None of the 3 examples")],
    )
    def test_split_without_labels_blocks_once(self, unlabelled, words):
        verdict = judge(
            labels(split("train", BALANCED), split("eval", {}, unlabelled=unlabelled))
        )
        (finding,) = verdict.findings
        assert finding.cause == "missing_class"
        assert finding.blocks
        assert words in finding.message

    def test_a_single_class_everywhere_blocks(self):
        (finding,) = judge(
            labels(split("train", {"a": 9}), split("eval", {"a": 9}))
        ).findings
        assert finding.cause == "missing_class"
        assert finding.blocks
        assert (finding.measured, finding.limit) == (1, 2)

    def test_a_sampled_split_says_so(self):
        (finding,) = core.find_missing_classes(
            labels(split("train", BALANCED), split("eval", {"a": 7}, sample_rate=0.1)),
            CONFIG,
        )
        assert "in a sample of 0.1 of the split" in finding.message


class TestRareClasses:
    @pytest.mark.parametrize(
        ("counts", "num_found"),
        [
            pytest.param({"a": 95, "b": 5}, 0, id="exactly-at-the-limit"),
            pytest.param({"a": 96, "b": 4}, 1, id="just-below-the-limit"),
            pytest.param({0: 10, **dict.fromkeys(range(1, 10), 110)}, 0, id="limit-10"),
            pytest.param({0: 10, **dict.fromkeys(range(1, 10), 111)}, 1, id="below-10"),
            pytest.param({"a": 9}, 0, id="single-class"),
            pytest.param({}, 0, id="no-examples"),
        ],
    )
    def test_relative_share_of_the_rarest(self, counts, num_found):
        found = core.find_rare_classes(labels(split("train", counts)), CONFIG)
        assert len(found) == num_found

    def test_names_the_rarest_class_and_lists_all_rare_ones(self):
        counts = {"a": 10_000, "b": 20, "c": 10}
        (finding,) = core.find_rare_classes(labels(split("train", counts)), CONFIG)
        assert finding.cause == "class_imbalance"
        assert not finding.blocks
        assert finding.subject.split == "train"
        assert finding.subject.class_name == "c"
        assert finding.measured == 10 * 3 / 10_030
        assert finding.limit == 0.1
        assert list(finding.evidence["counts"].items()) == [("c", 10), ("b", 20)]

    @pytest.mark.parametrize(("fewest", "num_found"), [(5, 0), (4, 1)])
    def test_too_few_examples_block(self, fewest, num_found):
        config = ClassBalanceConfig(min_examples_per_class=5)
        found = core.find_rare_classes(
            labels(split("train", {"a": 9, "b": fewest})), config
        )
        assert [finding.blocks for finding in found] == [True] * num_found

    @given(
        st.integers(1, 10**6), st.integers(2, 1000), st.sampled_from([10, 20, 50, 100])
    )
    def test_a_class_at_a_decimal_limit_equals_it(self, count, num_classes, times):
        total = count * num_classes * times
        assert core.relative_share(count, total, num_classes) == 1 / times


class TestUnevenClasses:
    def test_exactly_at_the_limit_is_well(self):
        counts = {"a": 90, "b": 10}
        measured = core.evenness(counts.values())
        at = ClassBalanceConfig(min_evenness=measured)
        above = ClassBalanceConfig(min_evenness=math.nextafter(measured, 1))
        assert not core.find_uneven_classes(labels(split("train", counts)), at)
        assert len(core.find_uneven_classes(labels(split("train", counts)), above)) == 1

    def test_warns_about_the_most_frequent_class(self):
        (finding,) = core.find_uneven_classes(
            labels(split("eval", {"a": 90, "b": 10})), CONFIG
        )
        assert finding.cause == "class_imbalance"
        assert not finding.blocks
        assert finding.subject.class_name == "a"
        assert finding.measured < finding.limit == 0.5

    @pytest.mark.parametrize("counts", [{}, {"a": 4}], ids=["empty", "single-class"])
    def test_undefined_evenness_is_left_to_the_other_checks(self, counts):
        assert not core.find_uneven_classes(labels(split("train", counts)), CONFIG)


class TestMeasures:
    @given(st.lists(st.integers(0, 10**12), max_size=20))
    def test_effective_number_is_between_one_and_the_classes(self, counts):
        number = core.effective_number_of_classes(counts)
        present = sum(count > 0 for count in counts)
        assert number == 0 if not present else 1 <= number <= present

    @given(st.integers(1, 50), st.integers(1, 10**6))
    def test_effective_number_of_equal_classes_is_their_number(self, classes, count):
        number = core.effective_number_of_classes([count] * classes)
        assert number == pytest.approx(classes)

    def test_effective_number_of_known_shares(self):
        # H(1/2, 1/4, 1/4) = 1.5 bits, so 2 ** 1.5 classes.
        assert core.effective_number_of_classes([2, 1, 1]) == pytest.approx(2**1.5)

    def test_evenness_of_equal_classes_is_one(self):
        assert core.evenness([7] * 3) == pytest.approx(1)

    @pytest.mark.parametrize("counts", [[], [0], [5], [5, 0]])
    def test_evenness_is_nan_below_two_classes(self, counts):
        assert math.isnan(core.evenness(counts))


class TestLabelDistribution:
    def test_classes_are_ordered_by_value(self):
        distribution = labels(split("train", {10: 1, 9: 1}), domain=(2,))
        assert distribution.classes == (2, 9, 10)

    @pytest.mark.parametrize(
        ("splits", "domain"),
        [
            ((split("train", {1: 1}), split("eval", {"1": 1})), ()),
            ((split("train", {1: 1}),), ("1",)),
        ],
        ids=["between-splits", "split-and-schema"],
    )
    def test_mixed_data_types_are_refused(self, splits, domain):
        with pytest.raises(InputError, match="integers in split train, texts in"):
            labels(*splits, domain=domain)

    def test_unknown_split_is_refused_with_the_names_there_are(self):
        with pytest.raises(InputError, match=r"'train'.*\['a', 'b'\].*`train_split`"):
            labels(split("a", {}), split("b", {})).split("train")
