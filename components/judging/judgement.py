# SPDX-License-Identifier: Apache-2.0
"""A verdict on a model that was trained elsewhere, with what it rests on."""

from components.findings import Verdict
from components.records.evaluation import EvaluationRecord


class Judgement(Verdict):
    """A verdict with the numbers behind it.

    `print` shows one line, `table` all findings:

    ```python
    judgement = judge(model, (x_train, y_train), (x_test, y_test))
    print(judgement)  # blocked: mode_gap (On the same 3 eval examples ...)
    print(judgement.table())
    assert judgement.passed, judgement
    ```
    """

    evaluation: EvaluationRecord | None = None
    """What was measured; None where nothing could be."""
    not_run: tuple[str, ...] = ()
    """Checks that were left out, each with the reason, in one sentence."""

    def table(self) -> str:
        """Returns the verdict, all findings and what was left out, as plain text."""
        lines = ["PASSED" if self.passed else "BLOCKED"]
        for finding in self.findings:
            lines += [
                "",
                f"{finding.severity.value}: {finding.cause} ({finding.subject})",
                f"  {finding.message}",
                f"  {finding.remedy}",
            ]
        if self.not_run:
            lines += ["", "not run:", *(f"  {reason}" for reason in self.not_run)]
        return "\n".join(lines)
