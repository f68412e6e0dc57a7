# SPDX-License-Identifier: Apache-2.0
"""What the training loop asks of its data, wherever they come from."""

from collections.abc import Mapping
from typing import Protocol

import tensorflow as tf

from components.guarded_trainer.head import Head
from components.labels import ClassTable


class TrainingData(Protocol):
    """Checked training data: rows that are fitted, and rows that are held out.

    `inputs` stands for whatever the model is called with: a tensor, or a dict or
    tuple of tensors with the same first dimension. A class id is int64, 0 to K-1.
    """

    @property
    def classes(self) -> ClassTable:
        """The classes."""

    @property
    def num_fitted(self) -> int:
        """Examples that the weights may be fitted to."""

    @property
    def num_held_out(self) -> int:
        """Examples held out; 0 if none is."""

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of batches that make an epoch."""

    def fitted(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows to fit, unbatched, in stored order."""

    def held_out(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows held out, unbatched, in stored order."""

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless shuffled batches of (inputs, class ids), not augmented.

        Each `steps_per_epoch` batches are one epoch, in which each row occurs once.
        The order within epoch e depends on `seed` and e alone, so that a training
        can be taken up at any epoch.
        """

    def fit_batches(
        self, head: Head, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns what `model.fit` is given.

        That is `train_batches`, augmented, with labels as the loss wants them, and
        sample weights where there are any.
        """

    def held_out_batches(
        self, head: Head, class_weight: Mapping[int, float] | None
    ) -> tf.data.Dataset | None:
        """Returns what `model.fit` is given to validate on.

        Each row is weighted as in the training loss; None where nothing is held out.
        """

    def fingerprints(self) -> dict[str, str]:
        """Returns a SHA-256 of the rows by name of the split, whatever their order."""
