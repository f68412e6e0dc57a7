# SPDX-License-Identifier: Apache-2.0
"""What a check returns: findings, and the verdict over many of them.

Measuring and judging are two steps everywhere in this project; a `Finding` is
what judging returns. It carries the number, the limit it broke and the way out,
so that a report never has to guess why a model was blocked.
"""

import math
from collections.abc import Iterable
from typing import Any

import pydantic

from components import causes
from components.causes import Severity
from components.settings import Settings


class Subject(Settings):
    """What a finding is about; the parts that do not apply are left out."""

    split: str | None = None
    """Name of the split, such as `train` or `eval`."""
    class_name: str | None = None
    """Label value of the class, as text."""
    slice: str | None = None
    """Slice of the data, as `feature=value`."""
    feature: str | None = None
    """Name of the feature."""
    layer: str | None = None
    """Name of the model's layer."""
    model: str | None = None
    """Name of the model or mode, such as `inference`."""

    def __str__(self) -> str:
        """Returns `split eval, class 3`, or `everything` for an empty subject."""
        parts = [
            f"{name.removesuffix('_name')} {value}"
            for name, value in self.model_dump(exclude_none=True).items()
        ]
        return ", ".join(parts) or "everything"


class Finding(Settings):
    """One thing that a check found out about the data or the model."""

    cause: str
    """Id of the cause in `components.causes.CATALOGUE`."""
    severity: Severity
    """Whether the finding blocks promotion, warns or informs."""
    subject: Subject = Subject()
    """What the finding is about."""
    measured: float | None = None
    """The number found, in `unit`, never rounded; None where nothing could be
    measured."""
    limit: float | None = None
    """The number it was held against, in `unit`; None where there is none."""
    unit: str = ""
    """Unit of `measured` and `limit`, such as `examples` or `share`."""
    message: str
    """One sentence with the numbers."""
    remedy: str
    """What to change."""
    evidence: dict[str, Any] = {}
    """Whatever lets a reader check the finding; JSON values only, bounded in size."""
    found_by: str = ""
    """Name of the check or component."""
    is_secondary: bool = False
    """Whether it stands behind the others of its severity: it explains none of the
    failures beside it, or one of them explains it."""

    @pydantic.field_validator("cause")
    @classmethod
    def _is_in_the_catalogue(cls, cause: str) -> str:
        if cause not in causes.CATALOGUE:
            raise ValueError(f"there is no cause {cause!r} in the catalogue")
        return cause

    @pydantic.field_validator("measured", "limit")
    @classmethod
    def _nan_is_not_measured(cls, number: float | None) -> float | None:
        return None if number is None or math.isnan(number) else number

    @property
    def blocks(self) -> bool:
        """Whether this finding alone keeps a model from being promoted."""
        return self.severity is Severity.BLOCK


def find(
    cause: str,
    message: str,
    *,
    severity: Severity | None = None,
    remedy: str | None = None,
    **details: Any,
) -> Finding:
    """Makes a finding whose severity and remedy come from the catalogue.

    Args:
      cause: Id of the cause.
      message: One sentence with the numbers.
      severity: Overrules the catalogue's severity.
      remedy: Overrules the catalogue's remedy, where the check knows better.
      **details: The other fields of `Finding`.

    Raises:
      KeyError: If the catalogue has no such cause.
    """
    entry = causes.CATALOGUE[cause]
    return Finding(
        cause=cause,
        severity=severity or entry.severity,
        message=message,
        remedy=remedy or entry.remedy,
        **details,
    )


def failed_check(check: str, error: BaseException) -> Finding:
    """Makes the blocking finding of a check that raised: nothing passes unseen."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return find(
        "check_failed",
        f"{check} could not run: {reason[:500]}",
        found_by=check,
        evidence={"exception": type(error).__name__},
    )


class Verdict(Settings):
    """The findings of one or more checks, the most likely root cause first."""

    findings: tuple[Finding, ...] = ()
    """Blocking findings before warnings before information; within each, in the
    catalogue's order of explanation, secondary ones last."""

    @pydantic.field_validator("findings")
    @classmethod
    def _in_order(cls, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        return tuple(
            sorted(
                findings,
                key=lambda f: (f.severity.rank, f.is_secondary, causes.rank(f.cause)),
            )
        )

    @classmethod
    def of(cls, *groups: Iterable[Finding]) -> "Verdict":
        """Gathers the findings of several checks."""
        return cls(findings=tuple(finding for group in groups for finding in group))

    @property
    def passed(self) -> bool:
        """Whether nothing blocks; true of an empty verdict."""
        return not self.blocking

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that block, the most likely root cause first."""
        return tuple(finding for finding in self.findings if finding.blocks)

    def __str__(self) -> str:
        """Returns one line for humans: the outcome and the first reason."""
        if self.passed:
            return f"passed ({len(self.findings)} findings, none of which block)"
        first = self.blocking[0]
        return f"blocked: {first.cause} ({first.message.rstrip('.')})"
