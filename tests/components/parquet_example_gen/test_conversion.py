# SPDX-License-Identifier: Apache-2.0
import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.parquet_example_gen.conversion import to_example

INT64 = st.integers(-(2**63), 2**63 - 1)


def feature(value):
    return to_example({"x": value}).features.feature["x"]


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        (3, "int64_list", [3]),
        (0, "int64_list", [0]),
        (True, "int64_list", [1]),
        (False, "int64_list", [0]),
        (0.0, "float_list", [0.0]),
        (1.5, "float_list", [1.5]),
        ("", "bytes_list", [b""]),
        ("é", "bytes_list", ["é".encode()]),
        (b"\xff", "bytes_list", [b"\xff"]),
        ([0, 1], "int64_list", [0, 1]),
        ([0.0, 1], "float_list", [0.0, 1.0]),
        (["", "a"], "bytes_list", [b"", b"a"]),
        (decimal.Decimal("0.5"), "float_list", [0.5]),
        (datetime.date(2026, 1, 2), "bytes_list", [b"2026-01-02"]),
        (datetime.datetime(2026, 1, 2, 3), "bytes_list", [b"2026-01-02T03:00:00"]),
    ],
)
def test_value_is_kept(value, kind, stored):
    made = feature(value)
    assert made.WhichOneof("kind") == kind
    assert list(getattr(made, kind).value) == stored


@pytest.mark.parametrize("value", [None, []])
def test_missing_value_is_an_empty_feature(value):
    assert feature(value).WhichOneof("kind") is None


@given(st.lists(INT64, min_size=1))
def test_integers_of_64_bits_are_kept(values):
    assert list(feature(values).int64_list.value) == values


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": 1}, "column 'x': .*a row holds dict"),
        ([None, 1], "column 'x': .*a row holds NoneType"),
        (["a", 1], "column 'x': .*a row holds bytes"),
        (2**63, "column 'x': expected integers of 64 bits"),
    ],
)
def test_other_values_are_refused_by_name(value, reason):
    with pytest.raises(InputError, match=reason):
        feature(value)
