# SPDX-License-Identifier: Apache-2.0
"""What judging needs to know of a model, whatever it comes as."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from components.judging.spec import ModelSpec
from components.labels import LabelValue
from components.records.training import BatchNormDrift

COPY = "copy"
"""Mode of a second model that lends the first one its training modes: inference mode
of that one, in which both must answer the same."""


class EnteringScale(NamedTuple):
    """Size of what reaches the first weights of a model, as its own layers leave it."""

    overall: float
    """Root mean square of all features."""
    largest: float
    """Root mean square of the feature with the largest."""


class AskedModel(Protocol):
    """A model that answers batches, in inference mode and perhaps in others.

    Asking changes nothing: neither weights, moving statistics nor seeds.
    """

    @property
    def spec(self) -> ModelSpec:
        """What the model wants to be given, and how many classes it answers."""

    @property
    def labels(self) -> Sequence[LabelValue]:
        """Labels in the order of the outputs; empty where the model names none."""

    @property
    def batch_size(self) -> int | None:
        """Batch size that it was trained with; None where the model tells none."""

    @property
    def modes(self) -> Sequence[str]:
        """Which of `TRAINING_MODE` and `BATCH_STATISTICS_MODE` it can be asked in.

        `COPY` stands before them where it is another model that answers in them.
        """

    @property
    def modes_missing_because(self) -> str:
        """Why it cannot be asked in them; empty where it can."""

    @property
    def has_no_modes(self) -> bool:
        """Whether training mode can surely not do better than inference mode."""

    @property
    def rounding(self) -> float:
        """Largest difference of a probability to `COPY` that rounding explains."""

    def takes_examples(self, mode: str) -> bool:
        """Returns whether it is given serialized tf.Examples in a mode."""

    def ask(self, mode: str, inputs: Any) -> np.ndarray:
        """Returns the answers to a batch, as they come, float64 of shape (B, K).

        Args:
          mode: `CANDIDATE` (inference mode) or one of `modes`.
          inputs: What the model is given: arrays with B rows, or a list of B
            serialized tf.Examples where it `takes_examples`.

        Raises:
          InputError: If the model does not take these inputs, or does not answer
            one number per class.
        """

    def drift(self, batches: Iterable[Any]) -> tuple[BatchNormDrift, ...]:
        """Returns how far the moving statistics of BatchNorm are from the data's.

        Args:
          batches: Inputs of a training mode, as for `ask`.

        Returns:
          One entry per layer, the most drifted first; empty where the model has no
          such layers, or they cannot be looked into.
        """

    def entering(self, inputs: Any) -> EnteringScale | None:
        """Returns the size of what reaches the first trained weights.

        Layers that bring inputs to order, such as `Normalization`, are passed.

        Args:
          inputs: A batch, as for `drift`.

        Returns:
          None where that cannot be seen.
        """
