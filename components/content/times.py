# SPDX-License-Identifier: Apache-2.0
"""Reads when an example came to be.

A time is a number, of whatever unit, or an ISO 8601 text. All become integers of 64
bits whose order is the order of time, so that nothing is rounded: nanoseconds since
1970 are no float64 numbers.
"""

import datetime
import re
import struct
from typing import Literal

import numpy as np

from components.content.fingerprint import Values

Kind = Literal["integer", "float", "text"]
"""How times are stored; times of two kinds have no order."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_ISO = re.compile(
    r"(?P<year>\d{4})(?:-?(?P<month>\d\d)(?:-?(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?)?)?\s?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?)?)?"
)


def read_time(values: Values) -> tuple[Kind, int] | None:
    """Returns the kind of a time and its place in the order of time.

    Args:
      values: The values of the time feature; only one value is a time.

    Returns:
      The kind, and an integer in [-2^63, 2^63): the integer itself, microseconds
      since 1970 of a text, or the bits of a float in the order of floats. None if
      it is no time: no value or several, NaN or infinite, not ISO 8601.
    """
    if len(values) != 1:
        return None
    value = values[0]
    if isinstance(value, bytes):
        micros = _read_iso(value)
        return None if micros is None else ("text", micros)
    if isinstance(value, (float, np.floating)):
        return ("float", _sortable(float(value))) if np.isfinite(value) else None
    return "integer", int(value)


def time_text(order: int, kind: Kind) -> str:
    """Returns a time for people, from its place in the order of time."""
    if kind == "float":
        return repr(_unsortable(order))
    if kind == "integer":
        return str(order)
    moment = _EPOCH + datetime.timedelta(microseconds=order)
    return moment.isoformat().replace("+00:00", "Z")


def _read_iso(value: bytes) -> int | None:
    """Returns microseconds since 1970; a time without a zone counts as UTC.

    A date stands for its first moment. Digits beyond the microsecond are cut.
    """
    match = _ISO.fullmatch(value.decode("utf-8", "replace").strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(match[name] or least)
        for name, least in zip(
            ("year", "month", "day", "hour", "minute", "second"),
            (1, 1, 1, 0, 0, 0),
            strict=True,
        )
    )
    fraction = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    try:
        # A leap second, which no `datetime` has, is the moment after it.
        moment = datetime.datetime(
            year, month, day, hour, minute, min(second, 59), tzinfo=_EPOCH.tzinfo
        )
    except ValueError:
        return None
    if second > 60:
        return None
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds + second - min(second, 59)
    return (seconds - _offset(match["zone"])) * 10**6 + fraction


def _offset(zone: str | None) -> int:
    """Returns the offset from UTC in seconds."""
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _sortable(number: float) -> int:
    """Returns an integer for each float, in the order of floats; -0.0 equals 0.0."""
    (bits,) = struct.unpack("<q", struct.pack("<d", number + 0.0))
    return bits if bits >= 0 else -(2**63) - bits - 1


def _unsortable(order: int) -> float:
    bits = order if order >= 0 else -(2**63) - order - 1
    (number,) = struct.unpack("<d", struct.pack("<q", bits))
    return float(number)
