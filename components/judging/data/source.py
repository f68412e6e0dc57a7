# SPDX-License-Identifier: Apache-2.0
"""What judging needs to know of data, whatever they come as."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from components.labels import LabelValue


class NoCategory(Exception):
    """A feature cannot be sliced by; the message is the reason, one sentence."""


class JudgedSplit(Protocol):
    """The examples of one split; rows are named by their positions, from 0."""

    @property
    def name(self) -> str:
        """Name of the split, `train` or `eval`."""

    @property
    def class_ids(self) -> np.ndarray:
        """Class id of each row, int64 of shape (N,)."""

    @property
    def hashes(self) -> np.ndarray:
        """Hash of each row's content, int64 of shape (N,).

        That of `guarded_evaluator.batching.content_hash` over the serialized example,
        with copies numbered apart, so that samples and batches are those of the
        pipeline on the same examples.
        """

    def serialized(self, positions: np.ndarray) -> list[bytes]:
        """Returns rows as serialized tf.Examples."""

    def inputs(self, positions: np.ndarray) -> Any:
        """Returns what the model is given for these rows.

        An array, or a dict or tuple of arrays, with one row each in the order asked
        for.
        """

    def slice_values(self, feature: str) -> Sequence[str | None]:
        """Returns each row's value of a feature to slice by, as text.

        None where a row has no value: it is in no slice by this feature.

        Raises:
          InputError: If there is no such feature.
          NoCategory: If the feature is none, such as one of fractions.
        """


class JudgedData(Protocol):
    """A training and an evaluation split of the same kind of examples."""

    @property
    def train(self) -> JudgedSplit:
        """What the model was trained on."""

    @property
    def eval(self) -> JudgedSplit:
        """What decides."""

    @property
    def labels(self) -> tuple[LabelValue, ...]:
        """Label values; the class id of a label is its position."""

    @property
    def label_key(self) -> str:
        """Name of the label feature in the serialized examples."""

    @property
    def image_key(self) -> str | None:
        """Feature that holds encoded pictures; None where there is none."""

    @property
    def no_input(self) -> tuple[str, ...]:
        """Features that the model is not given and that are no content."""

    @property
    def input_features(self) -> tuple[str, ...] | None:
        """Features that the model is given; None where it parses examples itself."""

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """TFRecord files of serialized tf.Examples by split, for the data guards."""

    def parse(self, serialized: Sequence[bytes]) -> Any:
        """Returns what the model is given for serialized, perhaps changed, examples."""

    def close(self) -> None:
        """Removes what was written for the time of the judgement."""
