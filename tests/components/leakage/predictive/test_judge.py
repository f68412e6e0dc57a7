# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest
from sklearn import datasets

from components.causes import Severity
from components.leakage.config import LeakageConfig
from components.leakage.predictive import judge as judging
from components.leakage.predictive.judge import judge

CONFIG = LeakageConfig()
NAMES = np.array([f"kind {k}" for k in range(10)])
SETS = {
    name: getattr(datasets, f"load_{name}")(return_X_y=True)
    for name in ("digits", "breast_cancer", "wine", "iris")
}
PLANTS = {
    "equal": lambda y, rng: [[int(k)] for k in y],
    "as-floats": lambda y, rng: [[float(k)] for k in y],
    "as-text": lambda y, rng: [[NAMES[k].encode()] for k in y],
    "hashed": lambda y, rng: [[hashlib.md5(NAMES[k].encode()).digest()] for k in y],
    "one-hot": lambda y, rng: [[float(k == j) for j in range(10)] for k in y],
    "one-hot-entry": lambda y, rng: [[int(k == 1)] for k in y],
    "monotone": lambda y, rng: [[7 - np.exp(k / 2)] for k in y],
    "shaken": lambda y, rng: [[k + rng.normal(0, 0.01)] for k in y],
    "present": lambda y, rng: [[rng.normal()] if k == 1 else [] for k in y],
}


def found_in(sample, config=CONFIG):
    return [(f.cause, f.severity, f.subject.feature) for f in judge(sample, config)]


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", SETS)
def test_planted_copy_blocks_from_150_rows_on(sample_of, vectors, name, plant):
    data, target = SETS[name]
    for seed in range(2):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(target))[:150]
        leak = PLANTS[plant](target[rows], rng)
        examples = [
            {**features, "leak": value}
            for features, value in zip(vectors(data[rows]), leak, strict=True)
        ]
        found = found_in(sample_of(examples, target[rows], positions=rows))
        assert ("label_leakage", Severity.BLOCK, "leak") in found
        assert all(feature == "leak" for _, s, feature in found if s is Severity.BLOCK)


@pytest.mark.parametrize("name", SETS)
def test_untouched_data_never_block(sample_of, vectors, name):
    data, target = SETS[name]
    for seed in range(24):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(target))
        if seed % 3 == 1:  # Two or three of the classes.
            some = rng.permutation(np.unique(target))[: 2 + seed % 2]
            rows = rows[np.isin(target[rows], some)]
        if seed % 3 == 2:  # One class is rare.
            rare = np.flatnonzero(target[rows] == seed % (target.max() + 1))
            rows = np.delete(rows, rare[len(rare) // 10 + 2 :])
        rows = rows[: (100, 200, 2000)[seed // 3 % 3]]
        sample = sample_of(vectors(data[rows]), target[rows])
        assert not any(finding.blocks for finding in judge(sample, CONFIG))


@pytest.mark.parametrize("kind", ["normal", "binary", "sparse"])
@pytest.mark.parametrize("num_rows", [20, 100])
def test_many_random_features_on_few_rows_tell_nothing(
    sample_of, vectors, kind, num_rows
):
    rng = np.random.default_rng(num_rows)
    data = rng.normal(size=(num_rows, 1500))
    if kind != "normal":
        data = (data > (0 if kind == "binary" else 1.7)).astype(float)
    labels = rng.integers(0, 2, num_rows)
    assert found_in(sample_of(vectors(data), labels)) == []


def test_copies_of_few_examples_tell_nothing(sample_of):
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.arange(500), np.repeat(np.arange(500, 510), 50)])
    numbers = rng.normal(size=510)
    examples = [{"x": [numbers[n]], "city": [b"city %d" % n]} for n in rows]
    assert found_in(sample_of(examples, rows >= 500)) == []


def test_copy_among_few_possible_rows_blocks(sample_of):
    rng = np.random.default_rng(0)
    sex, age, fate = rng.integers(0, 2, (3, 800))
    honest = [{"sex": [int(s)], "age": [int(a)]} for s, a in zip(sex, age, strict=True)]
    assert found_in(sample_of(honest, fate)) == []
    leaky = [{**h, "alive": [int(f)]} for h, f in zip(honest, fate, strict=True)]
    assert found_in(sample_of(leaky, fate)) == [
        ("label_leakage", Severity.BLOCK, "alive")
    ]


class TestContinuousStandIn:
    def found(self, sample_of, num_rows, noise, classes=2):
        rng = np.random.default_rng(0)
        labels = np.arange(num_rows) % classes
        examples = [{"x": [k + rng.uniform(0, noise)], "y": [rng.normal()]}
                    for k in labels]  # fmt: skip
        return list(judge(sample_of(examples, labels), CONFIG))

    def test_few_rows_warn(self, sample_of):
        (finding,) = self.found(sample_of, 150, 0.9)
        assert finding.severity is Severity.WARN
        assert finding.limit == CONFIG.suspicious_power < finding.measured
        assert "Feature x alone tells the label" in finding.message

    def test_many_rows_block(self, sample_of):
        (finding,) = self.found(sample_of, 1000, 0.9)
        assert finding.blocks
        assert finding.limit == CONFIG.max_power < finding.measured
        assert finding.evidence["value"] > finding.measured

    def test_overlap_lets_it_pass(self, sample_of):
        assert self.found(sample_of, 1000, 1.5) == []

    def test_telling_one_of_several_classes_only_warns(self, sample_of):
        rng = np.random.default_rng(0)
        labels = np.arange(3000) % 3
        examples = [{"x": [3 * (k == 0) + rng.uniform(0, 2)]} for k in labels]
        (finding,) = judge(sample_of(examples, labels), CONFIG)
        assert finding.severity is Severity.WARN
        assert "tells class 0 from the rest" in finding.message


class TestFinding:
    @pytest.fixture
    def leaky(self, sample_of, vectors):
        labels = np.arange(200) % 2
        data = np.random.default_rng(0).normal(size=(200, 6))
        data[:, 3] = data[:, 5] = labels
        return sample_of(vectors(data), labels, positions=labels * 0 + np.arange(200))

    def test_names_the_entry_and_counts_the_others(self, leaky):
        (finding,) = judge(leaky, CONFIG)
        assert finding.message == (
            "Feature x[3] copies the label: its value follows from the class in 200 "
            "of 200 examples, an agreement beyond chance of 1; so do 1 other entries; "
            "allowed is 0.95."
        )
        assert finding.subject.split == "train"
        assert finding.evidence["entries"] == ["x[3]", "x[5]"]
        assert finding.evidence["num_entries"] == 2

    @pytest.mark.parametrize("expected", [("x",), ("x[3]", "x[5]")])
    def test_expected_predictors_are_exempt(self, leaky, expected):
        assert found_in(leaky, LeakageConfig(expected_predictors=expected)) == []

    def test_no_evidence_lists_nothing(self, leaky):
        (finding,) = judge(leaky, LeakageConfig(max_evidence=0))
        assert finding.evidence["entries"] == []

    def test_number_of_features_reported_is_bounded(self, sample_of):
        labels = np.arange(100) % 2
        examples = [{f"f{n}": [int(k)] for n in range(30)} for k in labels]
        examples = [
            {**e, "row": [n * 37 % 101]}
            for n, e in enumerate(examples)
        ]  # fmt: skip
        found = found_in(sample_of(examples, labels))
        assert len(found) == judging.MAX_FINDINGS


class TestOrder:
    LABELS = np.repeat([0, 1, 2], 100)

    def examples(self, **more):
        numbers = np.random.default_rng(0).normal(size=300)
        return [
            {"x": [number], **{name: value(n) for name, value in more.items()}}
            for n, number in enumerate(numbers)
        ]

    def shuffled(self):
        return np.random.default_rng(1).permutation(300)

    def test_rows_sorted_by_class_warn(self, sample_of):
        (finding,) = judge(sample_of(self.examples(), self.LABELS), CONFIG)
        assert (finding.cause, finding.severity) == ("label_leakage", Severity.WARN)
        assert "rows are sorted by class" in finding.message
        assert finding.subject.feature is None

    def test_an_order_that_means_nothing_is_not_judged(self, sample_of):
        sample = sample_of(self.examples(), self.LABELS)
        assert list(judge(sample, CONFIG, in_order=False)) == []

    def test_shuffled_rows_pass(self, sample_of):
        sample = sample_of(self.examples(), self.LABELS, positions=self.shuffled())
        assert found_in(sample) == []

    @pytest.mark.parametrize(
        "value", [lambda n: [n + 1000], lambda n: [b"scan-%04d" % n]]
    )
    def test_ids_given_out_by_class_warn(self, sample_of, value):
        sample = sample_of(
            self.examples(id=value), self.LABELS, ("id",), positions=self.shuffled()
        )
        assert found_in(sample) == [("label_leakage", Severity.WARN, "id")]
        expected = LeakageConfig(expected_predictors=("id",))
        assert found_in(sample, expected) == []

    def test_path_with_a_folder_per_class_is_no_id(self, sample_of):
        examples = self.examples(
            path=lambda n: [b"photos/%d/%04d.png" % (self.LABELS[n], n)]
        )
        sample = sample_of(examples, self.LABELS, ("path",), positions=self.shuffled())
        assert found_in(sample) == []

    def test_group_with_one_label_has_no_order(self, sample_of):
        rng = np.random.default_rng(2)
        patients = rng.permutation(60)
        labels = rng.integers(0, 3, 60)[np.arange(300) // 5]
        examples = self.examples(patient=lambda n: [int(patients[n // 5])])
        sample = sample_of(examples, labels, ("patient",), positions=self.shuffled())
        assert found_in(sample) == []

    def test_texts_without_digits_have_no_order(self, sample_of):
        sample = sample_of(
            self.examples(id=lambda n: [b"ab"[n % 2 : n % 2 + 1]]),
            self.LABELS,
            ("id",),
            positions=self.shuffled(),
        )
        assert found_in(sample) == []


@pytest.mark.parametrize("num_rows", [0, 1, 2, 10])
def test_too_few_rows_tell_nothing(sample_of, num_rows):
    labels = np.arange(num_rows) % 2
    examples = [{"x": [int(k)], "t": [b"%d" % k]} for k in labels]
    assert found_in(sample_of(examples, labels)) == []


def test_one_class_tells_nothing(sample_of):
    assert found_in(sample_of([{"x": [n]} for n in range(100)], [0] * 100)) == []


def test_check_that_raises_blocks_and_the_others_go_on(sample_of, monkeypatch):
    def find_trouble(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(judging, "judge_ids", find_trouble)
    examples = [{"x": [float(n)]} for n in range(100)]
    sample = sample_of(examples, np.arange(100) // 50)
    causes = [finding.cause for finding in judge(sample, CONFIG)]
    assert causes[-2:] == ["check_failed", "label_leakage"]
