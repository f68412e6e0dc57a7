# SPDX-License-Identifier: Apache-2.0
"""One finding per feature, or one for many of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from components.causes import Severity
from components.findings import Finding, Subject, find

FOUND_BY = "FeatureValidator"
_MAX_SINGLE = 5
"""Features up to which each has a finding of its own."""
_MAX_LISTED = 100
"""Features that the evidence lists."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """What was observed of one feature.

    Attributes:
      feature: Name of the feature.
      text: A sentence with the numbers.
      measured: The number that was judged.
      evidence: What lets a reader check it; JSON values.
    """

    feature: str
    text: str
    measured: float
    evidence: dict[str, Any] = dataclasses.field(default_factory=dict)


def report(
    cause: str,
    observations: Sequence[Observation],
    *,
    what: str,
    split: str,
    severity: Severity,
    limit: float | None,
    unit: str,
    remedy: str | None = None,
) -> list[Finding]:
    """Turns observations of features into findings: more than 5 become one.

    Args:
      cause: Id of the cause.
      observations: One per feature, the worst first.
      what: What the features have in common, as in `3 features are constant`.
      split: The split they were observed in.
      severity: Severity of the findings.
      limit: The number that the observations were held against.
      unit: Unit of the limit.
      remedy: What to change; the catalogue's if None.
    """
    common: dict[str, Any] = {
        "severity": severity,
        "remedy": remedy,
        "limit": limit,
        "unit": unit,
        "found_by": FOUND_BY,
    }
    if len(observations) <= _MAX_SINGLE:
        return [
            find(
                cause,
                each.text,
                subject=Subject(split=split, feature=each.feature),
                measured=each.measured,
                evidence=each.evidence,
                **common,
            )
            for each in observations
        ]
    listed = observations[:_MAX_LISTED]
    return [
        find(
            cause,
            f"{len(observations)} features of split {split} {what}: "
            f"{named([each.feature for each in observations])}. {observations[0].text}",
            subject=Subject(split=split),
            measured=observations[0].measured,
            evidence={
                "features": {each.feature: each.measured for each in listed},
                "num_features": len(observations),
                "worst": observations[0].evidence,
            },
            **common,
        )
    ]


def named(features: Sequence[str]) -> str:
    """Returns `'a', 'b', 'c', 'd', 'e' and 7 more`."""
    names = ", ".join(repr(feature) for feature in features[:_MAX_SINGLE])
    more = len(features) - _MAX_SINGLE
    return names + (f" and {more} more" if more > 0 else "")
