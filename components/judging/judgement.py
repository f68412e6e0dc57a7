# SPDX-License-Identifier: Apache-2.0
"""A verdict on a model that was trained elsewhere, with what it rests on."""

from components.findings import Verdict
from components.records.evaluation import EvaluationRecord


class Judgement(Verdict):
    """A verdict with the numbers behind it."""

    evaluation: EvaluationRecord | None = None
    """What was measured; None where nothing could be."""
    not_run: tuple[str, ...] = ()
    """Checks that were left out, each with the reason, in one sentence."""
