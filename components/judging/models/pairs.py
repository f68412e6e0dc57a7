# SPDX-License-Identifier: Apache-2.0
"""A served model that a Keras model, saved beside it, lends its training modes."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from components.judging.models.asked import COPY, AskedModel, EnteringScale
from components.judging.spec import ModelSpec
from components.labels import LabelValue
from components.records.evaluation import CANDIDATE
from components.records.training import BatchNormDrift


@dataclasses.dataclass(frozen=True)
class PairedModel:
    """Answers in inference mode as the first, in all others as the second.

    Attributes:
      served: The model under judgement.
      beside: What the served model was exported from; judging makes sure of that by
        asking both in inference mode.
    """

    served: AskedModel
    beside: AskedModel

    modes_missing_because = ""
    has_no_modes = False

    @property
    def spec(self) -> ModelSpec:
        """Of the one that does not parse tf.Examples itself."""
        return self.beside.spec if self.served.spec.takes_examples else self.served.spec

    @property
    def labels(self) -> Sequence[LabelValue]:
        """Labels in the order of the outputs."""
        return self.served.labels

    @property
    def batch_size(self) -> int | None:
        """Batch size of training."""
        return self.served.batch_size

    @property
    def modes(self) -> Sequence[str]:
        """Which modes it can be asked in; see `AskedModel`."""
        return (COPY, *self.beside.modes)

    @property
    def rounding(self) -> float:
        """Largest difference that rounding explains, in the precision of the two."""
        return max(self.served.rounding, self.beside.rounding)

    def takes_examples(self, mode: str) -> bool:
        """Returns whether it is given serialized tf.Examples in a mode."""
        return self.served.takes_examples(mode) if mode == CANDIDATE else False

    def ask(self, mode: str, inputs: Any) -> np.ndarray:
        """Returns the answers to a batch; see `AskedModel`."""
        if mode == CANDIDATE:
            return self.served.ask(mode, inputs)
        return self.beside.ask(CANDIDATE if mode == COPY else mode, inputs)

    def drift(self, batches: Iterable[Any]) -> tuple[BatchNormDrift, ...]:
        """Returns how far BatchNorm is from the data; see `AskedModel`."""
        return self.beside.drift(batches)

    def entering(self, inputs: Any) -> EnteringScale | None:
        """Returns the size of what reaches the first weights; see `AskedModel`."""
        return self.beside.entering(inputs)
