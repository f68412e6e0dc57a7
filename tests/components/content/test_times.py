# SPDX-License-Identifier: Apache-2.0
import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.content.times import read_time, time_text

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(FLOATS, FLOATS)
def test_order_of_floats_is_kept(one, other):
    (_, first), (_, second) = read_time([one]), read_time(np.array([other]))
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)
    assert float(time_text(first, "float")) == one


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_kept_exactly(number):
    assert read_time([number]) == ("integer", number)
    assert time_text(number, "integer") == str(number)


@given(st.datetimes(timezones=st.just(datetime.timezone.utc)))
def test_iso_texts_are_microseconds(moment):
    kind, micros = read_time([moment.isoformat().encode()])
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    assert kind == "text"
    assert micros == (moment - epoch) // datetime.timedelta(microseconds=1)
    assert read_time([time_text(micros, "text").encode()]) == (kind, micros)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (b"2024-02-29", b"2024-02-29T00:00:00Z"),
        (b"20240229T1530", b"2024-02-29 15:30"),
        (b"2024-02-29T15:30:00+01:30", b"2024-02-29T14:00:00Z"),
        (b"2016-12-31T23:59:60Z", b"2017-01-01T00:00:00Z"),
        (b" 2024 ", b"2024-01-01"),
    ],
)
def test_equal_moments_are_equal(text, same):
    assert read_time([text]) == read_time([same])


@pytest.mark.parametrize(
    "values",
    [[], [1, 2], [float("nan")], [float("inf")], [b""], [b"yesterday"], [b"2024-13-01"],
     [b"2024-02-30"], [b"\xff"]],
)  # fmt: skip
def test_what_is_no_time_is_none(values):
    assert read_time(values) is None
