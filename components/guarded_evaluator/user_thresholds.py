# SPDX-License-Identifier: Apache-2.0
"""Turns the outcome of a user's own TFMA thresholds into findings."""

from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.findings import Finding, Subject, find

_NAME = "TFMA thresholds"


def findings_of(output_path: str) -> tuple[Finding, ...]:
    """Reads TFMA's validation result; empty where all thresholds hold.

    Args:
      output_path: Folder that an Evaluator with thresholds has written to.
    """
    validation = tfma.load_validation_result(output_path)
    if validation.validation_ok:
        return ()
    findings = [
        _missed(failure, _slice_name(by_slice))
        for by_slice in validation.metric_validations_per_slice
        for failure in by_slice.failures
    ]
    missing = len(validation.missing_slices) + len(validation.missing_cross_slices)
    if missing:
        findings.append(
            find(
                "below_threshold",
                f"{missing} slices that have thresholds are missing from the data.",
                remedy="Add examples of these slices, or drop their thresholds.",
                measured=missing,
                limit=0,
                unit="slices",
                found_by=_NAME,
            )
        )
    if not findings:
        findings.append(
            find(
                "below_threshold",
                "TFMA's validation failed without saying why.",
                found_by=_NAME,
            )
        )
    return tuple(findings)


def _missed(failure: Any, slice_name: str) -> Finding:
    """Says which number missed which bounds, from TFMA's ValidationFailure."""
    metric = failure.metric_key.name or "a metric"
    measured, what = None, "was not measured"
    if failure.HasField("metric_value"):
        # Of a threshold on a change, this is the change.
        measured = failure.metric_value.double_value.value
        what = f"is {measured:.6g}"
    bounds = " and ".join(_bounds(failure.metric_threshold))
    why = " ".join(["", *failure.message.split()])
    return find(
        "below_threshold",
        f"The value of {metric} of {slice_name} {what}; asked for is {bounds}.{why}",
        subject=Subject(slice=slice_name),
        measured=measured,
        limit=_limit(failure.metric_threshold, measured),
        unit=metric,
        found_by=_NAME,
    )


def _bounds(threshold: config_pb2.MetricThreshold) -> Iterator[str]:
    value, change = threshold.value_threshold, threshold.change_threshold
    if value.HasField("lower_bound"):
        yield f"at least {value.lower_bound.value:g}"
    if value.HasField("upper_bound"):
        yield f"at most {value.upper_bound.value:g}"
    rises = change.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    side = "least" if rises else "most"
    if change.HasField("absolute"):
        yield f"a change by at {side} {change.absolute.value:g}"
    if change.HasField("relative"):
        yield f"a change by at {side} {change.relative.value:g} of the baseline's value"


def _limit(
    threshold: config_pb2.MetricThreshold, measured: float | None
) -> float | None:
    """Returns the bound that is in the unit of the number and was missed."""
    value, change = threshold.value_threshold, threshold.change_threshold
    if change.HasField("absolute"):
        return float(change.absolute.value)
    if value.HasField("upper_bound") and measured is not None:
        if measured > value.upper_bound.value:
            return float(value.upper_bound.value)
    return float(value.lower_bound.value) if value.HasField("lower_bound") else None


def _slice_name(by_slice: Any) -> str:
    parts = []
    for key in by_slice.slice_key.single_slice_keys:
        value = getattr(key, key.WhichOneof("kind"))
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        parts.append(f"{key.column}={text}")
    return ", ".join(parts) or "all examples"
