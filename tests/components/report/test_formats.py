# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.report import formats

SPACE = "\u202f"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "not measured", id="absent"),
        pytest.param(math.nan, "not a number", id="nan"),
        pytest.param(math.inf, "infinite", id="infinite"),
        pytest.param(0.0, f"0{SPACE}%", id="exactly-nothing"),
        pytest.param(1.0, f"100{SPACE}%", id="exactly-all"),
        pytest.param(1 / 3, f"33.3{SPACE}%", id="ordinary"),
        pytest.param(0.00001, f"< 0.1{SPACE}%", id="almost-nothing"),
        pytest.param(0.99999, f"> 99.9{SPACE}%", id="almost-all"),
        pytest.param(-0.25, f"\u221225.0{SPACE}%", id="negative"),
    ],
)
def test_share(value, text):
    assert formats.share(value) == text


@given(st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True))
def test_only_exact_shares_are_shown_as_nothing_or_all(value):
    shown = formats.share(value)
    assert shown not in (f"0{SPACE}%", f"100{SPACE}%")
    assert not shown.startswith(("0.0\u202f", "100.0"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "not measured", id="absent"),
        pytest.param(math.nan, "not a number", id="nan"),
        pytest.param(-math.inf, "minus infinite", id="minus-infinite"),
        pytest.param(0.0, "0", id="zero"),
        pytest.param(1797.0, "1,797", id="whole"),
        pytest.param(4.72512, "4.725", id="ordinary"),
        pytest.param(0.05, "0.05", id="no-padding"),
        pytest.param(-0.5, "\u22120.5", id="negative"),
        pytest.param(1.2e-7, "1.2 × 10⁻⁷", id="tiny"),
        pytest.param(1.5e30, "1.5 × 10³⁰", id="huge"),
    ],
)
def test_number(value, text):
    assert formats.number(value) == text


@given(st.floats())
def test_number_shows_every_float(value):
    assert formats.number(value)


@pytest.mark.parametrize(
    ("measured", "limit", "unit", "texts"),
    [
        (0.5, 0.9, "share", (f"50.0{SPACE}%", f"90.0{SPACE}%")),
        (0.9, 0.9, "share", (f"90.0{SPACE}%", f"90.0{SPACE}%")),
        (0.94999, 0.95, "share", (f"94.999{SPACE}%", f"95.000{SPACE}%")),
        (3, 10, "examples", ("3 examples", "10 examples")),
        (1.00004, 1.00001, "nats", ("1.00004 nats", "1.00001 nats")),
        (None, None, "share", ("not measured", "none")),
        (0.125, 0.1, "accuracy", (f"12.5{SPACE}% accuracy", f"10.0{SPACE}% accuracy")),
        (
            0.09,
            0.05,
            "share of the right answers",
            (f"9.0{SPACE}% of the right answers", f"5.0{SPACE}% of the right answers"),
        ),
        (3, 2, "shares", ("3 shares", "2 shares")),
        (math.nan, 0.5, "share", ("not a number", f"50.0{SPACE}%")),
    ],
    ids=[
        "far-apart",
        "exactly-at-the-limit",
        "just-beyond-the-limit",
        "unit",
        "just-beyond-in-a-unit",
        "absent",
        "accuracy",
        "share-of-something",
        "other-unit",
        "nan",
    ],
)
def test_measured_and_limit(measured, limit, unit, texts):
    assert formats.measured_and_limit(measured, limit, unit) == texts


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        pytest.param("cat", 5, "cat", id="short"),
        pytest.param("otter", 5, "otter", id="exactly-as-long"),
        pytest.param("giraffe", 5, "gir…e", id="too-long"),
        pytest.param("", None, "(empty)", id="empty"),
        pytest.param(" \n", None, "(empty)", id="blank"),
        pytest.param("a\x00b", None, "a\ufffdb", id="control-character"),
        pytest.param("a\ud800", None, "a\ufffd", id="lone-surrogate"),
        pytest.param("two\nlines", None, "two lines", id="line-break"),
    ],
)
def test_name(text, length, shown):
    assert formats.name(text, length) == shown


@given(st.text(), st.integers(min_value=4, max_value=40))
def test_names_fit_and_can_be_written(text, length):
    shown = formats.name(text, max(length, len("(empty)")))
    assert 0 < len(shown) <= max(length, len("(empty)"))
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (247.3, "4 min 7 s"),
        (7500, "2 h 5 min"),
        (math.nan, "not a number"),
    ],
)
def test_duration(seconds, text):
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22T12:50:03+00:00", "2026-11-22 12:50:03 UTC"),
        ("2026-11-22T12:50:03Z", "2026-11-22 12:50:03 UTC"),
        ("2026-11-22T14:50:03.250+02:00", "2026-11-22 12:50:03 UTC"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_moment(text, shown):
    assert formats.moment(text) == shown


def test_counted():
    assert formats.counted(1, "example") == "1 example"
    assert formats.counted(0, "example") == "0 examples"
    assert formats.counted(1797, "example") == "1,797 examples"


def test_intervals_have_two_ends():
    assert formats.interval((0.0, 0.5)) == "0\u202f% to 50.0\u202f%"
    assert formats.interval(None) == "–"
