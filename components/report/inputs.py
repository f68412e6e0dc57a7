# SPDX-License-Identifier: Apache-2.0
"""What a report is made from."""

import dataclasses
from collections.abc import Mapping

from components.findings import Verdict
from components.labels import ClassTable
from components.records.blessing import Blessing
from components.records.evaluation import EvaluationRecord
from components.records.training import TrainingRecord

DEFAULT_TITLE = "Guard report"


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The records of one run; all but the verdict may be absent.

    A run that stops at its data has a verdict and perhaps a class table, and no
    model: the page then says of every other part, in one line, that it was not
    measured.

    Attributes:
      verdict: The findings that the page explains. With a `blessing` this is
        the blessing's own verdict.
      title: Heading of the page.
      blessing: The decision on the model; None if no model was judged.
      evaluation: What the evaluator measured.
      training: What the trainer recorded.
      classes: The classes, how often they occur and what they weigh.
      push: What became of the model; None if nothing was to push it.
      unreadable: Parts that exist but could not be read, by the name of the
        attribute above, with the reason.
    """

    verdict: Verdict
    title: str = DEFAULT_TITLE
    blessing: Blessing | None = None
    evaluation: EvaluationRecord | None = None
    training: TrainingRecord | None = None
    classes: ClassTable | None = None
    push: Push | None = None
    unreadable: Mapping[str, str] = dataclasses.field(default_factory=dict)
