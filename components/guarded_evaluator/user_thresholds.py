# SPDX-License-Identifier: Apache-2.0
"""Turns the outcome of a user's own TFMA thresholds into findings."""

import tensorflow_model_analysis as tfma

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
        find(
            "below_threshold",
            f"{failure.metric_key.name or 'A metric'} of {_slice_name(by_slice)}: "
            f"{' '.join(failure.message.split()) or 'misses its threshold'}.",
            subject=Subject(slice=_slice_name(by_slice)),
            found_by=_NAME,
        )
        for by_slice in validation.metric_validations_per_slice
        for failure in by_slice.failures
    ]
    missing = validation.missing_slices
    if missing or not findings:
        findings.append(
            find(
                "below_threshold",
                f"TFMA's validation failed: {len(missing)} slices that have thresholds "
                "are missing from the data.",
                found_by=_NAME,
            )
        )
    return tuple(findings)


def _slice_name(by_slice: object) -> str:
    keys = by_slice.slice_key.single_slice_keys  # type: ignore[attr-defined]
    parts = []
    for key in keys:
        value = getattr(key, key.WhichOneof("kind"))
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        parts.append(f"{key.column}={text}")
    return ", ".join(parts) or "all examples"
