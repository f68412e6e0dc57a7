# SPDX-License-Identifier: Apache-2.0
"""Scores a model on rows, in inference mode."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer import modes
from components.guarded_trainer.head import Head

_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Score:
    """Mean cross-entropy (nats) and accuracy of a model in inference mode."""

    loss: float
    accuracy: float


class Scorer:
    """Scores one model, again and again, in inference mode.

    Its weights may change in between; the computation is traced once.
    """

    def __init__(self, model: keras.Model, head: Head) -> None:
        self._predict = tf.function(
            lambda x: head.probabilities(modes.forward(model, x, training=False)),
            reduce_retracing=True,
            autograph=False,
        )

    def score(self, rows: tf.data.Dataset) -> Score:
        """Scores the model on (inputs, class id) rows.

        Returns:
          NaN for both where there are no rows. The loss is NaN where a prediction is;
          such a prediction is wrong.
        """
        losses: list[np.ndarray] = []
        right: list[np.ndarray] = []
        for inputs, class_ids in rows.batch(_BATCH):
            probabilities = self._predict(inputs).numpy()
            truth = class_ids.numpy()
            chosen = probabilities[np.arange(len(truth)), truth]
            losses.append(-np.log(np.maximum(chosen, 1e-7)))
            right.append(np.isfinite(chosen) & (probabilities.argmax(axis=1) == truth))
        if not losses:
            return Score(float("nan"), float("nan"))
        return Score(
            float(np.concatenate(losses).mean()), float(np.concatenate(right).mean())
        )
