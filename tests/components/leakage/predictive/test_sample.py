# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage.predictive.rows import MAX_ENTRIES
from components.leakage.predictive.sample import Sample


def columns_of(sample):
    return {column.name: column.values.tolist() for column in sample.columns()}


def test_empty_sample_has_nothing():
    sample = Sample()
    assert len(sample) == 0
    assert list(sample.columns()) == []
    assert sample.standard_deviations() == {}
    assert not sample.unavoidably_repeated


def test_columns_are_entries_and_codes_of_texts(sample_of):
    sample = sample_of(
        [
            {"x": [1, 2], "y": [5], "t": [b"a"]},
            {"x": [3], "t": [b"b"]},
            {"x": [4, 6], "y": [7.5]},
        ],
        "abc",
    )
    by_label = np.argsort(sample.labels)
    found = {
        name: np.array(values)[by_label] for name, values in columns_of(sample).items()
    }
    assert list(found) == ["x[0]", "x[1]", "y", "t"]
    np.testing.assert_array_equal(found["x[0]"], [1, 3, 4])
    np.testing.assert_array_equal(found["x[1]"], [2, np.nan, 6])
    np.testing.assert_array_equal(found["y"], [5, np.nan, 7.5])
    assert found["t"][2] == -1
    assert found["t"][0] != found["t"][1]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(width=32))),
        max_size=8,
    )
)
def test_every_entry_stands_where_it_belongs(sample_of, examples):
    sample = sample_of(examples, range(len(examples)))
    columns = {(each.feature, each.index or 0): each for each in sample.columns()}
    for number, row in enumerate(sample.rows):
        for name, values in examples[int(row.label)].items():
            for index, value in enumerate(values):
                found = columns[name, index].values[number]
                np.testing.assert_array_equal(found, value)


def test_standard_deviations_are_those_of_numpy(sample_of, vectors):
    data = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    sample = sample_of(vectors(data), range(50))
    np.testing.assert_allclose(
        sample.standard_deviations()["x"], data.astype(np.float64).std(axis=0)
    )


def test_standard_deviations_leave_out_what_is_not_finite(sample_of):
    sample = sample_of(
        [{"x": [1.0]}, {"x": [3.0]}, {"x": [np.inf]}, {"x": [np.nan]}, {"y": [np.nan]}],
        "abcde",
    )
    found = sample.standard_deviations()
    assert found["x"].tolist() == [1.0]
    assert found["y"].tolist() == [0.0]


def test_thinned_entries_take_the_spread_of_the_one_before(sample_of):
    size = MAX_ENTRIES + 3
    examples = [{"x": np.arange(size) * scale} for scale in (1.0, 3.0)]
    found = sample_of(examples, "ab").standard_deviations()["x"]
    assert found.shape == (size,)
    assert found[:4].tolist() == [0, 0, 2, 2]


class TestRepeatedRows:
    def test_more_examples_than_possible_rows_are_unavoidable(self, sample_of):
        examples = [{"a": [n % 2], "t": [b"xyz"[n % 3 : n % 3 + 1]]} for n in range(60)]
        sample = sample_of(examples, [n % 2 for n in range(60)])
        assert len(sample) == 6
        assert sample.unavoidably_repeated
        assert len(sample.repeated(1000)) == 60
        assert len(sample.repeated(30)) == 30
        assert len(sample.repeated(1)) == 6

    def test_copies_of_measurements_are_avoidable(self, sample_of):
        examples = [{"a": [float(n % 20)], "b": [float(n % 20)]} for n in range(60)]
        sample = sample_of(examples, [0] * 60)
        assert sample.counts.tolist() == [3] * 20
        assert not sample.unavoidably_repeated

    def test_distinct_rows_are_not_repeated(self, sample_of):
        assert not sample_of([{"a": [1]}, {"a": [2]}], "ab").unavoidably_repeated


@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_rows_does_not_count(sample_of, seed):
    examples = [{"a": [n], "t": [b"%d" % n]} for n in range(20)]
    shuffled = np.random.default_rng(seed).permutation(20)
    one = sample_of(examples, range(20), positions=range(20))
    other = sample_of([examples[n] for n in shuffled], shuffled, positions=shuffled)
    assert one.rows == other.rows
    assert columns_of(one) == columns_of(other)
