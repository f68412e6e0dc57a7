# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.report import evidence
from components.report.page import Grid, Pairs

SPACE = "\u202f"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=30)
    ),
    max_leaves=60,
)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("num_examples", 12000, ("Number of examples", "12,000")),
        ("share_interval_95", [0.01, 0.5], ("Share, 95 % interval", None)),
        ("interval_95", [0.25, 1.0], ("95 % interval", "0.25 to 1")),
        ("min_share", 0.125, ("Min share", f"12.5{SPACE}%")),
        ("highest_possible_accuracy", 0.979, (None, f"97.9{SPACE}%")),
        ("year", 2019, ("Year", "2019")),
        ("p_value", 1.2e-7, ("P value", "1.2 × 10⁻⁷")),
        ("broken", float("nan"), ("Broken", "not a number")),
        ("passed", True, ("Passed", "yes")),
        ("reason", None, ("Reason", "none")),
        ("unit", "", ("Unit", "(empty)")),
        ("places", [], ("Places", "none")),
        ("nothing", {}, ("Nothing", "none")),
        ("path", "a\nb\ud800", ("Path", "a b\ufffd")),
        ("repeats_within_split", {"train": 4, "eval": 1}, (None, "train 4, eval 1")),
        ("classes", ["a", 7], ("Classes", "a, 7")),
    ],
)
def test_a_value_is_told_in_words(name, value, shown):
    ((title, text),) = evidence.show({name: value}).entries
    expected_title, expected_text = shown
    if expected_title is not None:
        assert title == expected_title
    if expected_text is not None:
        assert text == expected_text


def test_names_below_the_first_level_are_data_and_stay_as_they_are():
    counts = {f"num_class_{k}": {"train": k} for k in range(2)}
    ((_, pairs),) = evidence.show({"counts": counts}).entries
    assert [name for name, _ in pairs.entries] == ["num_class_0", "num_class_1"]


def test_a_list_of_objects_is_a_table():
    features = [{"name": "a", "num_rows": 1200}, {"name": "b", "mean": 2.5}]
    ((_, grid),) = evidence.show({"features": features}).entries
    assert grid == Grid(
        ("Name", "Number of rows", "Mean"), (("a", "1,200", "–"), ("b", "–", "2.5"))
    )


def test_what_is_shown_elsewhere_is_left_out():
    assert evidence.show({"groups": [1]}, omit=("groups",)) == Pairs()
    assert evidence.show({}) == Pairs()


@pytest.mark.parametrize(
    ("count", "left_out"),
    [(evidence.MAX_ENTRIES, 0), (evidence.MAX_ENTRIES + 1, 1)],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_entries_are_bounded(count, left_out):
    shown = evidence.show({str(k): k for k in range(count)})
    assert (len(shown.entries), shown.left_out) == (count - left_out, left_out)
    ((_, text),) = evidence.show({"rows": list(range(count))}).entries
    assert text.endswith("and 1 more") is bool(left_out)


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [(evidence.MAX_ROWS, 0), (evidence.MAX_ROWS + 1, 1)],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_tables_are_bounded(rows, left_out):
    columns = {f"c{k}": k for k in range(evidence.MAX_COLUMNS + 2)}
    ((_, grid),) = evidence.show({"rows": [columns] * rows}).entries
    assert (len(grid.rows), grid.rows_left_out) == (rows - left_out, left_out)
    assert (len(grid.header), grid.columns_left_out) == (evidence.MAX_COLUMNS, 2)


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, Pairs):
        for name, entry in value.entries:
            yield name
            yield from _texts(entry)
    else:
        yield from value.header
        for row in value.rows:
            yield from row


@given(st.dictionaries(st.text(), _JSON, max_size=30))
def test_whatever_it_holds_it_is_short_and_can_be_written(values):
    shown = list(_texts(evidence.show(values)))
    assert all(len(text) <= 10 * evidence.MAX_TEXT for text in shown)
    "".join(shown).encode("utf-8")


def test_values_are_bounded_over_all_levels():
    wide = {
        str(i): {str(j): {str(k): "x" * 20 for k in range(20)} for j in range(20)}
        for i in range(20)
    }
    shown = evidence.show(wide)
    assert shown.left_out > 0
    assert len(list(_texts(shown))) <= 2 * (evidence.MAX_VALUES + 3)
