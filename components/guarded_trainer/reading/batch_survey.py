# SPDX-License-Identifier: Apache-2.0
"""One pass over a user's batches: what they hold, and whether one can train on it."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from components.causes import Severity
from components.errors import InputError
from components.findings import Finding, Subject, find
from components.guarded_trainer.reading.label_formats import LabelFormat
from components.guarded_trainer.reading.rows import check_finite, named_leaves

_SORTED = 0.5
"""Share of the way from random to sorted rows beyond which they are called unshuffled.
Rows of c classes in random order are followed by one of the same class as often as the
class shares say; sorted ones nearly always."""
_Z = 6.0
"""Standard errors by which the order must differ from a random one besides: chance
brings that about once in a billion data sets."""


@dataclasses.dataclass
class BatchSurvey:
    """What one pass over batches has found.

    Attributes:
      label_format: How labels stand for classes.
      where: `train` or `eval`, for the messages.
      counts: Examples of each class, shape (K,).
      num_batches: Batches.
      batch_size: Examples in the largest batch.
      are_hard: Whether each label stands for one class alone.
    """

    label_format: LabelFormat
    where: str
    num_batches: int = 0
    batch_size: int = 0
    are_hard: bool = True

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.label_format.classes), np.int64)
        self._alike = self._pairs = 0
        self._last: int | None = None
        self._sum: int | None = 0

    @property
    def num_rows(self) -> int:
        """Examples."""
        return int(self.counts.sum())

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the rows, whatever their order; None for sparse or ragged ones."""
        if self._sum is None:
            return None
        return hashlib.sha256(self._sum.to_bytes(32, "little")).hexdigest()

    def add(self, inputs: Any, labels: Any) -> None:
        """Adds a batch.

        Raises:
          InputError: If it is not finite, lengths differ, or a label stands for no
            class; names the argument and the batch.
        """
        where = f"{self.where} batch {self.num_batches}"
        labels = np.asarray(labels)
        ids = self.label_format.class_ids(labels, f"{where}, y")
        self.are_hard &= self.label_format.are_hard(labels)
        leaves = list(named_leaves(inputs))
        for name, leaf in leaves:
            _check_leaf(leaf, f"{where}, {name}", len(ids))
        self._add_order(ids)
        self._add_digests([leaf for _, leaf in leaves], ids)
        self.counts += np.bincount(ids, minlength=len(self.counts))
        self.num_batches += 1
        self.batch_size = max(self.batch_size, len(ids))

    def unshuffled(self) -> tuple[Finding, ...]:
        """Returns a warning if rows come sorted by class, or nearly so."""
        if not self._pairs:
            return ()
        shares = self.counts / self.num_rows
        random = float(np.square(shares).sum())
        alike = self._alike / self._pairs
        error = math.sqrt(random * (1 - random) / self._pairs)
        limit = random + _SORTED * (1 - random)
        if random == 1 or alike <= limit or alike <= random + _Z * error:
            return ()
        return (
            find(
                "label_leakage",
                f"Training batches come sorted by class, or nearly so: {alike:.1%} of "
                f"the examples are followed by one of the same class, where "
                f"{random:.1%} would be in random order. Each step then trains on a "
                "few classes only, and forgets the others.",
                severity=Severity.WARN,
                subject=Subject(split="train"),
                measured=alike,
                limit=limit,
                unit="share",
                remedy="Shuffle the examples before they are batched, with a buffer as "
                "large as the data: `dataset.shuffle(num_examples).batch(...)`.",
                found_by="GuardedTrainer",
            ),
        )

    def _add_order(self, ids: np.ndarray) -> None:
        if self._last is not None:
            ids = np.concatenate([[self._last], ids])
        self._alike += int((ids[1:] == ids[:-1]).sum())
        self._pairs += len(ids) - 1
        self._last = int(ids[-1])

    def _add_digests(self, leaves: list[Any], ids: np.ndarray) -> None:
        if self._sum is None or not all(isinstance(x, tf.Tensor) for x in leaves):
            self._sum = None
            return
        arrays = [leaf.numpy() for leaf in leaves]
        for i, class_id in enumerate(ids.tolist()):
            digest = hashlib.sha256(class_id.to_bytes(8, "little"))
            for array in arrays:
                is_text = array.dtype.kind in "OSU"
                row = np.asarray(array[i])
                digest.update(repr(row.tolist()).encode() if is_text else row.tobytes())
            # A sum does not depend on the order.
            self._sum += int.from_bytes(digest.digest(), "little")
            self._sum %= 1 << 256


def element_spec(dataset: tf.data.Dataset, where: str) -> tuple[Any, ...]:
    """Returns the specs of inputs, labels, and perhaps sample weights.

    Args:
      dataset: Any data set.
      where: Name of it, for messages.

    Raises:
      InputError: If its elements are not such tuples.
    """
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        came = (
            f"a tuple of {len(spec)}"
            if isinstance(spec, tuple)
            else type(spec).__name__
        )
        raise InputError(
            f"{where}: expected a tf.data.Dataset of (inputs, labels) or (inputs, "
            f"labels, sample weights), but its elements are {came}; map each element "
            "to such a tuple"
        )
    return spec


def check_spec(dataset: tf.data.Dataset, where: str) -> None:
    """Checks that a data set yields batches of inputs and labels.

    Raises:
      InputError: If it yields something else, or rows that are not batched.
    """
    spec = element_spec(dataset, where)
    labels = spec[1]
    if not isinstance(labels, tf.TensorSpec):
        raise InputError(
            f"{where}: expected one tensor of labels, but they are a "
            f"{type(labels).__name__}; guard a model with the one output that "
            "classifies, and give its labels alone"
        )
    leading = {
        s.shape[0]
        for s in (*tf.nest.flatten(spec[0]), labels)
        if s.shape.rank and s.shape[0] is not None
    }
    ranks = [s.shape.rank for s in (*tf.nest.flatten(spec[0]), labels)]
    if 0 in ranks or len(leading) > 1:
        raise InputError(
            f"{where}: expected batches, as model.fit does, but the elements are "
            f"single examples or of unequal length (labels of shape {labels.shape}); "
            "end the data set with `.batch(batch_size)`"
        )


def survey(
    batches: Iterable[tuple[Any, ...]], label_format: LabelFormat, where: str
) -> BatchSurvey:
    """Reads batches once.

    Raises:
      InputError: If there are none, or they cannot be trained with.
    """
    found = BatchSurvey(label_format, where)
    try:
        for inputs, labels, *_ in batches:
            found.add(inputs, labels)
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:240]
        raise InputError(
            f"{where}: expected a data set that can be read to its end, but reading "
            f"failed after {found.num_batches} batches: {reason}; mend the data or how "
            "they are read"
        ) from error
    if not found.num_rows:
        raise InputError(
            f"{where}: expected examples, but the data set is empty; check how the "
            "data are loaded and split"
        )
    return found


def _check_leaf(leaf: Any, name: str, num_rows: int) -> None:
    if isinstance(leaf, tf.Tensor):
        if len(leaf) != num_rows:
            raise InputError(
                f"{name}: expected as many inputs as labels, but there are {len(leaf)} "
                f"and {num_rows}; give each example its label"
            )
        check_finite(leaf.numpy(), name)
    elif leaf.dtype.is_floating:
        values = leaf.flat_values if hasattr(leaf, "flat_values") else leaf.values
        check_finite(values.numpy(), name)
