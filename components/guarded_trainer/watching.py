# SPDX-License-Identifier: Apache-2.0
"""The loop's eyes: probe and rules, which must never bring a training down."""

import logging
from collections.abc import Sequence

import keras

from components.findings import Finding, failed_check
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe.facts import make_facts
from components.guarded_trainer.probe.reading import Probe
from components.guarded_trainer.probe.sample import choose_probe
from components.guarded_trainer.probe.schedule import ProbeSchedule
from components.guarded_trainer.probe.steps import WatchSteps
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.symptoms import Symptom
from components.guarded_trainer.rules.table import look
from components.records.training import Epoch, ProbeReading

_LOG = logging.getLogger("components.guarded_trainer")


class Watch:
    """Looks at a model after its epochs, and applies the rules.

    What fails here becomes a finding that blocks, since nothing may pass unseen; the
    training itself goes on unwatched.

    Attributes:
      facts: What is known before the first step; None where that failed.
      steps: Callback that measures the size of a step.
      findings: The checks that could not run.
    """

    def __init__(
        self,
        model: keras.Model,
        head: Head,
        data: TrainingData,
        config: TrainingConfig,
        batch_norm_layers: Sequence[BatchNorm],
    ) -> None:
        """Looks at the model for the first time, before its first step."""
        self.steps = WatchSteps()
        self.findings: list[Finding] = []
        self.facts: TrainingFacts | None = None
        self._limits = config.rules
        self._probe: Probe | None = None
        self._schedule = ProbeSchedule(
            data.steps_per_epoch(config.batch_size),
            config.probe_examples,
            config.batch_size,
        )
        inputs = None
        try:
            if config.probe_examples:
                inputs, class_ids = choose_probe(
                    data, config.probe_examples, config.seed
                )
                self._probe = Probe(
                    model,
                    head,
                    inputs,
                    class_ids,
                    batch_norm_layers,
                    batch_size=config.batch_size,
                )
            self.facts = make_facts(
                model, head, data, config, inputs, self._probe, batch_norm_layers
            )
        except Exception as error:
            self._failed("Probe", error)
        if self.facts is None:
            self._probe = None
            try:
                self.facts = make_facts(
                    model, head, data, config, None, None, batch_norm_layers
                )
            except Exception as error:
                self._failed("Facts of the training", error)

    def read(self, epoch: int, *, wanted: bool = False) -> ProbeReading | None:
        """Looks at the model after an epoch; None where it is not looked at.

        Args:
          epoch: Index of the epoch on the way to the present weights.
          wanted: Whether to look in any case.
        """
        if self._probe is None or not (wanted or self._schedule.due(epoch)):
            return None
        try:
            return self._probe.read(self.steps.update_ratios)
        except Exception as error:
            self._failed("Probe", error)
            self._probe = None
            return None

    def look(self, epochs: Sequence[Epoch]) -> tuple[Symptom, ...]:
        """Applies the rules as of the last epoch."""
        if self.facts is None:
            return ()
        try:
            return look(self.facts, epochs, self._limits)
        except Exception as error:
            self._failed("Training rules", error)
            return ()

    def _failed(self, name: str, error: Exception) -> None:
        finding = failed_check(name, error)
        _LOG.warning("%s", finding.message)
        if all(finding.message != other.message for other in self.findings):
            self.findings.append(finding)
