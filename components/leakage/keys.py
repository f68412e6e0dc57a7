# SPDX-License-Identifier: Apache-2.0
"""What examples may share: their content, their group, their time."""

from components.content.fingerprint import canonical_value, fingerprint_of
from components.content.times import read_time
from components.leakage.parse import SplitExample
from components.leakage.times import time_key


def content_key(element: SplitExample) -> bytes:
    """Returns the fingerprint of the content."""
    return element.example.fingerprint


def group_key(element: SplitExample, feature: str) -> bytes | None:
    """Returns a hash of the group; None where the example has none.

    Groups are equal by value, as contents are: group 7 is group 7.0, but not "7". A
    text without characters is no group.
    """
    values = element.example.features.get(feature)
    if values is None or all(value == b"" for value in values):
        return None
    return fingerprint_of(canonical_value(values))


def time_key_of(element: SplitExample, feature: str) -> bytes | None:
    """Returns the time; None where the example has none that can be read."""
    values = element.example.features.get(feature)
    time = read_time(values) if values is not None else None
    return time_key(time[1]) if time is not None else None
