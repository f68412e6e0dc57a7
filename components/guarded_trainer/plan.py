# SPDX-License-Identifier: Apache-2.0
"""What the training loop is told, and the digest of it."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from components.guarded_trainer import variables
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.reading.source import TrainingData
from components.records.training import ProbeReading


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the loop is told.

    Attributes:
      model: Compiled and built, its optimizer too.
      head: What its outputs mean.
      data: The checked data.
      config: The safeguards.
      batch_norm_layers: The BatchNorm layers that training mode updates.
      class_weight: Weight of each class in the loss; None for 1.
      extra_callbacks: Called after our own.
      blaming: Makes what is entered while the user's code may run.
      on_reading: Called with the index of an epoch and what the probe saw after it.
      hopeless: Why the training must fail, in a clause, where that is known before
        it; one epoch is then enough to judge by.
    """

    model: keras.Model
    head: Head
    data: TrainingData
    config: TrainingConfig
    batch_norm_layers: Sequence[BatchNorm] = ()
    class_weight: Mapping[int, float] | None = None
    extra_callbacks: Sequence[keras.callbacks.Callback] = ()
    blaming: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    on_reading: Callable[[int, ProbeReading], None] = lambda index, reading: None
    hopeless: str | None = None


def make_key(
    model: keras.Model,
    data: TrainingData,
    config: TrainingConfig,
    class_weight: Mapping[int, float] | None,
) -> str:
    """Returns the digest of all that a training is made of, for its checkpoints.

    The code of the user is not part of it: whoever names the folder sees to that.
    """
    return variables.digest(
        model,
        {
            "config": config.model_copy(update={"checkpoint_dir": None}).to_json(),
            "data": data.fingerprints(),
            "class_weight": sorted((class_weight or {}).items()),
            "tensorflow": tf.__version__,
        },
    )
