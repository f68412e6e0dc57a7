# SPDX-License-Identifier: Apache-2.0
"""How numbers, names and times look on the page; nothing is judged by these texts."""

import datetime
import math
import unicodedata

NOT_MEASURED = "not measured"
NOT_A_NUMBER = "not a number"

_SHARES = frozenset(("accuracy", "recall", "mean recall"))
_NARROW_SPACE = "\u202f"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DIGITS = 12
_ORDER_MARKS = frozenset(
    ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
)


def visible(text: str) -> str:
    """Returns `text` with what must not reach the page replaced by U+FFFD.

    These are control characters and lone surrogates, which labels taken from
    raw bytes may hold and neither HTML nor SVG can carry, and the marks that
    reverse the order of whatever comes next. Scripts written from right to left
    need no such marks.
    """
    return "".join(
        "\ufffd"
        if unicodedata.category(character) in ("Cc", "Cs")
        or unicodedata.bidirectional(character) in _ORDER_MARKS
        else character
        for character in text
    )


def clean(text: str) -> str:
    """Returns `text` on one line and `visible`."""
    return visible(" ".join(text.split()))


def name(text: str, length: int | None = None) -> str:
    """Returns the name of a class or layer, visible even if it is empty.

    Args:
      text: The name.
      length: Most characters to show; a longer name keeps its beginning and its
        end, where names that are alike differ. None shows all.
    """
    shown = clean(text) if text.strip() else "(empty)"
    if length is None or len(shown) <= length:
        return shown
    tail = (length - 1) // 3
    return f"{shown[: length - 1 - tail]}…{shown[-tail:]}"


def count(value: int | None) -> str:
    """Returns `1,797`."""
    return NOT_MEASURED if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Returns `1 example` or `1,797 examples`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def share(value: float | None, digits: int = 1) -> str:
    """Returns `98.3 %`; only an exact 0 or 1 is shown as 0 or 100 %."""
    if value is None:
        return NOT_MEASURED
    if not math.isfinite(value):
        return number(value)
    least = 10.0**-digits
    percent = 100 * value
    if 0 < percent < least / 2:
        return f"< {least:.{digits}f}{_NARROW_SPACE}%"
    if 100 - least / 2 <= percent < 100:
        return f"> {100 - least:.{digits}f}{_NARROW_SPACE}%"
    shown = (
        "0" if percent == 0 else "100" if percent == 100 else f"{percent:.{digits}f}"
    )
    return f"{_minus(shown)}{_NARROW_SPACE}%"


def interval(ends: tuple[float, float] | None) -> str:
    """Returns `12.3 % to 45.6 %`, or a dash where there is none."""
    return "–" if ends is None else " to ".join(map(share, ends))


def number(value: float | None, digits: int = 4) -> str:
    """Returns the number with `digits` significant digits: `0.1235`, `1.2 × 10⁻⁷`."""
    if value is None:
        return NOT_MEASURED
    if math.isnan(value):
        return NOT_A_NUMBER
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == int(value) and abs(value) < 10**15:
        return _minus(f"{int(value):,}")
    if 1e-4 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        shown = f"{value:,.{decimals}f}"
        return _minus(shown.rstrip("0").rstrip(".") if "." in shown else shown)
    mantissa, exponent = f"{value:.{max(digits - 3, 1)}e}".split("e")
    return _minus(f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}")


def quantity(value: float | None, unit: str, digits: int | None = None) -> str:
    """Returns a number in its unit: shares as percent, others with the unit's name."""
    if value is None or not math.isfinite(value):
        return number(value)
    name, _, rest = clean(unit).partition(" ")
    if name == "share":  # Perhaps of something: `9.2 % of the right answers`.
        return f"{share(value, 1 if digits is None else digits)} {rest}".rstrip()
    if unit in _SHARES:
        return f"{share(value, 1 if digits is None else digits)} {unit}"
    return f"{number(value, digits or 4)} {clean(unit)}".rstrip()


def measured_and_limit(
    measured: float | None, limit: float | None, unit: str
) -> tuple[str, str]:
    """Returns both numbers with as many digits as it takes to tell them apart."""
    shown = quantity(measured, unit), "none" if limit is None else quantity(limit, unit)
    if measured is None or limit is None or measured == limit:
        return shown
    for digits in range(2, _MOST_DIGITS + 1):
        if shown[0] != shown[1]:
            break
        shown = quantity(measured, unit, digits), quantity(limit, unit, digits)
    return shown


def duration(seconds: float) -> str:
    """Returns `0.8 s`, `4 min 7 s` or `2 h 5 min`."""
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def moment(text: str) -> str:
    """Returns an ISO 8601 time as `2026-11-22 12:50:03 UTC`; other texts unchanged."""
    try:
        # Python 3.10 does not read the `Z`.
        time = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return clean(text)
    if time.tzinfo is not None:
        time = time.astimezone(datetime.timezone.utc)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _minus(text: str) -> str:
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text
