# SPDX-License-Identifier: Apache-2.0
"""Asks a model in all its modes, and the one in production, about the same examples."""

from typing import Any

import numpy as np

from components.findings import Finding, Subject, failed_check, find
from components.judging.data.source import JudgedSplit
from components.judging.models.asked import COPY, AskedModel
from components.records.evaluation import BASELINE, CANDIDATE

_NUM_COMPARED = 256
"""Examples on which a copy must answer as the model does; what differs between two
models differs on all of them."""


class Asking:
    """Collects answers; a mode that cannot be asked is left out, with the reason."""

    def __init__(self, model: AskedModel, baseline: AskedModel | None = None):
        """Begins with all modes that the model has.

        Args:
          model: The model under judgement.
          baseline: The model in production; None where there is none.
        """
        self._model = model
        self._baseline = baseline
        self._modes = list(model.modes)
        self._to_compare = _NUM_COMPARED
        self._findings: list[Finding] = []
        self.modes_missing_because = model.modes_missing_because

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that answered everything they were asked."""
        return tuple(self._modes)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The modes of the model that did not."""
        return tuple(mode for mode in self._model.modes if mode not in self._modes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What kept a mode from being asked."""
        return tuple(self._findings)

    def ask(self, split: JudgedSplit, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the answers of each model and mode to a batch, each shape (B, K).

        Raises:
          InputError: If the model, or the one in production, does not take the data.
        """
        given = Given(split, positions)
        answers = {CANDIDATE: given.ask(self._model, CANDIDATE)}
        for mode in list(self._modes):
            if mode not in self._modes or (mode == COPY and self._to_compare <= 0):
                continue
            try:
                answers[mode] = given.ask(self._model, mode)
            except Exception as error:
                self._leave_out(mode, error)
        if COPY in answers:
            self._compare(answers[CANDIDATE], answers.pop(COPY))
            # Only what is still among the modes counts.
            answers = {
                name: given
                for name, given in answers.items()
                if name in (CANDIDATE, *self._modes)
            }
        if self._baseline is not None:
            answers[BASELINE] = given.ask(self._baseline, CANDIDATE)
        return answers

    def _compare(self, served: np.ndarray, copied: np.ndarray) -> None:
        """Makes sure that what lends the training modes is the same model."""
        self._to_compare -= len(served)
        # What is not a number on both sides is a matter of the model.
        same = (served == copied) | (np.isnan(served) & np.isnan(copied))
        difference = float(np.where(same, 0.0, np.abs(served - copied)).max(initial=0))
        if difference <= self._model.rounding:
            return
        self._modes.clear()
        self._to_compare = 0
        self.modes_missing_because = (
            "what was given to be asked in training mode is not the model that is "
            f"served: a probability differs by {difference:.3g}"
        )
        self._findings.append(
            find(
                "export_mismatch",
                "In inference mode the served model and the one that was given to ask "
                f"in training mode differ by up to {difference:.3g} in a probability "
                f"on {len(served)} examples.",
                subject=Subject(model=CANDIDATE),
                measured=difference,
                limit=self._model.rounding,
                unit="probability",
                found_by="judge: copy",
            )
        )

    def _leave_out(self, mode: str, error: Exception) -> None:
        dropped = list(self._modes) if mode == COPY else [mode]
        self._modes = [name for name in self._modes if name not in dropped]
        name = f"judge: {mode.replace('_', ' ')} mode"
        self._findings.append(failed_check(name, error))
        if not self._modes:
            self.modes_missing_because = f"asking in {mode} mode failed: {error}"


class Given:
    """Rows of a split in the forms that models take, made when first asked for."""

    def __init__(self, split: JudgedSplit, positions: np.ndarray):
        """Names the rows."""
        self._split = split
        self._positions = positions
        self._forms: dict[bool, Any] = {}

    def ask(self, model: AskedModel, mode: str) -> np.ndarray:
        """Returns a model's answers in one mode, shape (B, K)."""
        return model.ask(mode, self.of(model, mode))

    def of(self, model: AskedModel, mode: str) -> Any:
        """Returns the rows in the form that a model takes in a mode."""
        as_examples = model.takes_examples(mode)
        if as_examples not in self._forms:
            read = self._split.serialized if as_examples else self._split.inputs
            self._forms[as_examples] = read(self._positions)
        return self._forms[as_examples]
