# SPDX-License-Identifier: Apache-2.0
"""What a report is made from."""

import dataclasses
import functools
from collections.abc import Hashable, Mapping

from components.findings import Finding, Verdict
from components.labels import ClassTable
from components.records.blessing import Blessing
from components.records.evaluation import EvaluationRecord
from components.records.training import TrainingRecord

DEFAULT_TITLE = "Guard report"
DATA_FINDINGS = ("class_balance_findings", "leakage_findings", "feature_findings")
"""Inputs that carry what the data guards found."""
LEAKAGE_FINDINGS = "leakage_findings"
"""The one of them that brings groups of leaked examples."""


@dataclasses.dataclass(frozen=True)
class Push:
    """What became of the model after the decision.

    Attributes:
      pushed: Whether the model went to production.
      version: Version under which it did; empty if it did not.
      destination: Where it went; empty if unknown.
      reason: Why it was not pushed; empty if it was.
    """

    pushed: bool
    version: str = ""
    destination: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class CheckedModel:
    """A model that was trained elsewhere, and only judged here.

    Attributes:
      model: Where it lies.
      train: Where the examples lie that it was trained on.
      eval: Where the examples lie that decided.
      not_run: Checks that were left out, each with the reason, in one sentence.
    """

    model: str
    train: str
    eval: str
    not_run: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """The thumbnail of an example, ready to be embedded.

    Attributes:
      png: The file's bytes.
      width: Pixels.
      height: Pixels.
    """

    png: bytes
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class DataFindings:
    """What one data guard found, and the pictures that its evidence names.

    Attributes:
      verdict: The findings.
      pictures: Thumbnails by the name that stands in the evidence.
      missing: Why a named thumbnail is not among them, by its name.
    """

    verdict: Verdict
    pictures: Mapping[str, Picture] = dataclasses.field(default_factory=dict)
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The records of one run; all but the verdict may be absent.

    A run that stops at its data has a verdict, the findings of the data guards and
    perhaps a class table, and no model: the page then begins with what was found in
    the data, and says in one line that no model was trained.

    Attributes:
      verdict: The findings that the page explains. With a `blessing` this is
        the blessing's own verdict, whatever `data` say.
      title: Heading of the page.
      blessing: The decision on the model; None if no model was judged.
      evaluation: What the evaluator measured.
      training: What the trainer recorded.
      classes: The classes, how often they occur and what they weigh.
      push: What became of the model; None if nothing was to push it.
      check: The model, if it was trained elsewhere and only judged; then there is
        neither a blessing nor a push, and the verdict alone decides.
      data: What the data guards found, by the names in `DATA_FINDINGS`.
      unreadable: Parts that exist but could not be read, by the name of the
        attribute above, or the name in `DATA_FINDINGS`, with the reason.
    """

    verdict: Verdict
    title: str = DEFAULT_TITLE
    blessing: Blessing | None = None
    evaluation: EvaluationRecord | None = None
    training: TrainingRecord | None = None
    classes: ClassTable | None = None
    push: Push | None = None
    check: CheckedModel | None = None
    data: Mapping[str, DataFindings] = dataclasses.field(default_factory=dict)
    unreadable: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def has_model(self) -> bool:
        """Whether there is anything about a model, even if it cannot be read."""
        parts = ("blessing", "evaluation", "training", "push", "check")
        return any(
            getattr(self, part) is not None or part in self.unreadable for part in parts
        )

    @property
    def findings_apart(self) -> tuple[Finding, ...]:
        """What the data guards found and the verdict does not hold.

        The decision stays what it is; but what was found must not get lost.
        """
        known = set(map(_identity, self.verdict.findings))
        return tuple(
            finding
            for found in self.data.values()
            for finding in found.verdict.findings
            if _identity(finding) not in known
        )

    def source_of(self, finding: Finding) -> DataFindings | None:
        """Returns the data guard's own record of a finding that a verdict repeats."""
        return self._sources.get(_identity(finding))

    @functools.cached_property
    def _sources(self) -> dict[Hashable, DataFindings]:
        return {
            _identity(finding): found
            for found in self.data.values()
            for finding in found.verdict.findings
        }


def _identity(finding: Finding) -> Hashable:
    """Returns what tells a finding from others; the evidence only supports it."""
    return (
        finding.cause,
        finding.severity,
        finding.subject,
        finding.message,
        finding.measured,
        finding.limit,
        finding.found_by,
    )
