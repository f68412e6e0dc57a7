# SPDX-License-Identifier: Apache-2.0
"""One reading of the training split: all that must be known before the first step."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.inputs import ModelInputs
from components.guarded_trainer.reading import checking, parsing
from components.guarded_trainer.reading.held_out import (
    Choice,
    Fingerprint,
    HeldOut,
    content_hash,
)
from components.guarded_trainer.reading.memory import Collector, MemoryRows
from components.labels import ClassTable


class Survey:
    """What one reading of the split tells.

    Attributes:
      num_rows: Number of examples.
      num_bytes: Their size, serialized.
      held_out: What would be held out.
    """

    def __init__(self, limit: int, memory_bytes: int, num_rows: int = 0):
        """Constructs an empty survey.

        Args:
          limit: Examples with a content hash below this would be held out.
          memory_bytes: Decoded examples are kept as long as they take no more.
          num_rows: Number of examples to expect.
        """
        self.num_rows = 0
        self.num_bytes = 0
        self.held_out = HeldOut(limit)
        self._limit = limit
        self._rows = Collector(memory_bytes, num_rows)
        self._hashes: list[np.ndarray] = []
        self._fingerprint = Fingerprint()
        # By class: a class that would be held out as a whole is not.
        self._held_out_fingerprints: defaultdict[int, Fingerprint] = defaultdict(
            Fingerprint
        )

    def run(
        self, serialized: tf.data.Dataset, inputs: ModelInputs, classes: ClassTable
    ) -> None:
        """Reads the split, and refuses what cannot train.

        Raises:
          InputError: If the split is empty or cannot be parsed, there are fewer than
            two classes, a label is not among them, or an input is NaN or infinite.
        """
        for batch in _batches(serialized, inputs, classes):
            checking.check_labels(batch.class_ids, classes)
            checking.check_finite(tf.nest.flatten(batch.inputs), inputs)
            self._add(batch)
        if not self.num_rows:
            raise InputError(
                "training split: expected examples, but the split is empty; check the "
                "data path and how the data are split"
            )

    @property
    def fits_memory(self) -> bool:
        """Whether the decoded examples are in memory."""
        return self._rows.fits

    def rows(self, choice: Choice) -> MemoryRows:
        """Returns the decoded examples, once, where they fit into memory."""
        return self._rows.finish(choice.mask(np.concatenate(self._hashes)))

    def fingerprints(self, *, held_out: bool) -> dict[str, str]:
        """Returns the SHA-256 of the split, and of the part that is held out."""
        prints = {"train": self._fingerprint.hexdigest()}
        if held_out:
            lost = self.held_out.lost_classes
            parts = self._held_out_fingerprints.items()
            prints["held_out"] = Fingerprint.of(
                part for class_id, part in parts if class_id not in lost
            ).hexdigest()
        return prints

    def _add(self, batch: "_Batch") -> None:
        self.num_rows += len(batch.examples)
        self.num_bytes += sum(map(len, batch.examples))
        self.held_out.add(batch.hashes, batch.class_ids)
        self._fingerprint.add(batch.examples)
        for i in np.flatnonzero(batch.hashes < self._limit):
            of_class = self._held_out_fingerprints[int(batch.class_ids[i])]
            of_class.add(batch.examples[i : i + 1])
        self._rows.add(batch.inputs, batch.class_ids)
        self._hashes.append(batch.hashes)
        if not self._rows.fits:
            self._hashes.clear()


class _Batch(NamedTuple):
    """Some examples, as NumPy arrays with one row for each."""

    examples: np.ndarray
    hashes: np.ndarray
    inputs: Any
    class_ids: np.ndarray


def _batches(
    serialized: tf.data.Dataset, inputs: ModelInputs, classes: ClassTable
) -> Iterator[_Batch]:
    """Yields the examples in stored order; nothing where there are none.

    Raises:
      InputError: If an example cannot be parsed or there are fewer than two classes.
    """
    try:
        if not list(serialized.take(1)):
            return
        checking.check_classes(classes)
        parse = parsing.make_parser(inputs, classes)
        parsed = serialized.batch(parsing.batch_rows(inputs)).map(
            lambda examples: (examples, content_hash(examples), *parse(examples)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        for batch in parsed.as_numpy_iterator():
            yield _Batch(*batch)
    except parsing.UNREADABLE as error:
        raise InputError(
            f"{parsing.unreadable_part(error, inputs, classes)}, but reading failed: "
            f"{parsing.reason(error)}; fill in missing values, leave the feature out, "
            "or mend the record"
        ) from error
