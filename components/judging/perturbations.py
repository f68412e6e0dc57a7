# SPDX-License-Identifier: Apache-2.0
"""Asks a model again about examples with harmless changes."""

import logging
from collections.abc import Iterator

import numpy as np

from components.errors import InputError
from components.guarded_evaluator.batching import last_hash_in_sample
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.perturbing import survey
from components.judging.data.source import JudgedData, JudgedSplit
from components.judging.models.asked import AskedModel
from components.records.evaluation import CANDIDATE, PERTURBED_PREFIX

_LOG = logging.getLogger("components.judging")


class Perturbations:
    """The changes that suit the data, and the examples that they are made to."""

    def __init__(self, data: JudgedData, config: EvaluationConfig):
        """Looks at a few training examples.

        Args:
          data: The examples.
          config: Says how many examples are asked about again.
        """
        self._data = data
        self._last_hash = last_hash_in_sample(
            len(data.eval.hashes), config.max_perturbed_examples
        )
        looks = []
        if config.max_perturbed_examples:
            last = last_hash_in_sample(len(data.train.hashes), survey.NUM_SURVEYED)
            seen = np.flatnonzero(data.train.hashes <= last)
            looks = [
                survey.look_at(serialized, data.label_key)
                for serialized in data.train.serialized(seen)
            ]
        self._changes = survey.suitable_changes(looks)

    def ask(
        self, model: AskedModel, split: JudgedSplit, positions: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yields the answers to those of a batch's rows that a change applies to.

        Args:
          model: The model under judgement.
          split: The split that decides.
          positions: Rows of a batch, shape (B,).

        Yields:
          Name of the change as in the record, which of the rows, shape (n,), and the
          answers, shape (n, K).
        """
        rows = np.flatnonzero(split.hashes[positions] <= self._last_hash)
        if not self._changes or not len(rows):
            return
        serialized = split.serialized(positions[rows])
        for name, change in self._changes.items():
            changed = [change(example) for example in serialized]
            applies = [i for i, example in enumerate(changed) if example is not None]
            if not applies:
                continue
            examples = [example for example in changed if example is not None]
            given = (
                examples
                if model.takes_examples(CANDIDATE)
                else self._data.parse(examples)
            )
            try:
                answers = model.ask(CANDIDATE, given)
            except InputError as error:
                # The model may be unable to read what was changed, such as pictures
                # that are not in the one format that it decodes; no fault in use.
                _LOG.warning("A changed example could not be asked about: %s", error)
                continue
            yield f"{PERTURBED_PREFIX}{name}", rows[applies], answers
