# SPDX-License-Identifier: Apache-2.0
import random

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.labels import ClassTable, parse_label, sorted_labels

_LABELS = st.lists(st.integers(), unique=True) | st.lists(st.text(), unique=True)


def table(labels, /, **changes):
    return ClassTable(
        **{
            "label_key": "label",
            "labels": labels,
            "train_counts": [1] * len(labels),
            "weights": [1.0] * len(labels),
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("text", "integer", "label"),
    [
        ("7", True, 7),
        ("-1", True, -1),
        ("7", False, "7"),
        ("", False, ""),
        ("cat", False, "cat"),
    ],
)
def test_a_label_gets_its_data_type_back(text, integer, label):
    assert parse_label(text, integer=integer) == label


@pytest.mark.parametrize("text", ["", "cat", "1.5"])
def test_a_text_is_no_integer_label(text):
    with pytest.raises(ValueError, match="invalid literal"):
        parse_label(text, integer=True)


class TestSortedLabels:
    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            pytest.param([], (), id="none"),
            pytest.param([10, 9, 10, -1], (-1, 9, 10), id="integers-by-value"),
            pytest.param(["b", "B", "a", "b"], ("B", "a", "b"), id="texts-by-code"),
            pytest.param(["10", "9"], ("10", "9"), id="digits-as-texts"),
        ],
    )
    def test_are_distinct_and_ascend(self, labels, expected):
        assert sorted_labels(labels) == expected

    def test_are_of_one_kind(self):
        with pytest.raises(InputError, match="'1'"):
            sorted_labels([1, "1"])

    @given(_LABELS, st.randoms(use_true_random=False))
    def test_do_not_depend_on_the_order_of_the_examples(
        self, labels, rng: random.Random
    ):
        shuffled = labels * 2
        rng.shuffle(shuffled)
        assert sorted_labels(shuffled) == tuple(sorted(labels))


class TestClassTable:
    @given(_LABELS)
    def test_survives_its_round_trip_with_the_labels_type(self, labels):
        read = ClassTable.from_json(table(labels).to_json())
        assert read == table(labels)
        assert [type(label) for label in read.labels] == [type(x) for x in labels]

    @pytest.mark.parametrize(
        ("labels", "names", "is_integer"),
        [
            pytest.param((0, 1), ("0", "1"), True, id="integers"),
            pytest.param(("0", "1"), ("0", "1"), False, id="texts-of-digits"),
            pytest.param(("cat",), ("cat",), False, id="texts"),
        ],
    )
    def test_names_its_classes(self, labels, names, is_integer):
        assert table(labels).class_names == names
        assert table(labels).is_integer is is_integer

    @pytest.mark.parametrize(
        "changes",
        [
            {"labels": (0,)},
            {"train_counts": (1, 2, 3)},
            {"weights": ()},
            {"split_counts": {"train": (1, 1), "eval": (1, 2, 3)}},
        ],
    )
    def test_has_one_entry_per_class(self, changes):
        with pytest.raises(pydantic.ValidationError, match="one of each per class"):
            table((0, 1), **changes)
