# SPDX-License-Identifier: Apache-2.0
"""What one model answers, summed over examples: plain NumPy, one batch at a time."""

import dataclasses

import numpy as np

from components.records.evaluation import NUM_CALIBRATION_BINS, SATURATION

_SMALLEST_PROBABILITY = 1e-7
_TOLERANCE = 0.01
"""By how much probabilities may miss [0, 1] and the sum 1: half precision with
thousands of classes stays within it, logits and scores do not."""
_BIN_EDGES = np.arange(NUM_CALIBRATION_BINS + 1) / NUM_CALIBRATION_BINS


@dataclasses.dataclass
class Outcomes:
    """Sums over examples, which merge in any order.

    Counts do so exactly, what is floating but for the last few bits.

    Attributes:
      confusion: Examples by true class (row) and predicted class (column), int64 of
        shape (K, K); shape (0, 0) before the first example.
      probability_mean: Mean of the outputs, shape (K,).
      square_deviations: Sum of the squared distances from that mean, shape (K,).
        Kept instead of the sum of squares, whose rounding would let equal outputs
        seem to vary.
      log_loss_sum: Sum of -log(probability of the true class), nats.
      smallest: Smallest finite output, infinity before the first example.
      largest: Largest finite output, -infinity before the first example.
      num_not_finite: Examples with NaN or infinity among their predictions; they
        count in nothing else, but for `smallest` and `largest`.
      num_not_probabilities: Examples whose finite outputs are no distribution.
      num_saturated: Examples whose highest output is at least `SATURATION`.
      bin_counts: Examples by calibration bin of their highest output, int64 of
        shape (B,); outputs beyond 0 and 1 count in the first and the last.
      bin_confidence_sums: Sum of the highest outputs by bin, shape (B,).
      bin_right: Examples predicted right by bin, int64 of shape (B,).
    """

    confusion: np.ndarray
    probability_mean: np.ndarray
    square_deviations: np.ndarray
    log_loss_sum: float = 0.0
    smallest: float = np.inf
    largest: float = -np.inf
    num_not_finite: int = 0
    num_not_probabilities: int = 0
    num_saturated: int = 0
    bin_counts: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(NUM_CALIBRATION_BINS, np.int64)
    )
    bin_confidence_sums: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(NUM_CALIBRATION_BINS)
    )
    bin_right: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(NUM_CALIBRATION_BINS, np.int64)
    )

    @classmethod
    def empty(cls, num_classes: int = 0) -> "Outcomes":
        """Returns sums over nothing."""
        return cls(
            np.zeros((num_classes, num_classes), np.int64),
            np.zeros(num_classes),
            np.zeros(num_classes),
        )

    @property
    def num_classes(self) -> int:
        """Number of classes K; 0 before the first example."""
        return len(self.confusion)

    @property
    def num_examples(self) -> int:
        """Examples with finite predictions."""
        return int(self.confusion.sum())

    @property
    def output_spread(self) -> np.ndarray:
        """Each class's standard deviation of probability over the examples.

        Shape (K,); NaN where there are no examples.
        """
        count = self.num_examples or float("nan")
        return np.sqrt(self.square_deviations / count)

    @property
    def mean_log_loss(self) -> float:
        """Mean of -log(probability of the true class), in nats.

        Probabilities are clipped to 1e-7 from below; NaN without examples.
        """
        return self.log_loss_sum / (self.num_examples or float("nan"))

    def add_batch(self, class_ids: np.ndarray, predictions: np.ndarray) -> None:
        """Adds examples in place.

        Args:
          class_ids: True classes, integers of shape (B,); B may be 0.
          predictions: Outputs of the model, shape (B, K), or (B, 1) of the second
            of two classes.

        Raises:
          ValueError: If a label is no class of the predictions, or the shapes do not
            fit to each other or to what was added before.
        """
        outputs = class_probabilities(predictions)
        count, num_classes = outputs.shape
        check_class_ids(class_ids, count, num_classes)
        if not self.num_classes:
            self._grow(num_classes)
        elif self.num_classes != num_classes:
            raise ValueError(
                f"predictions: expected {self.num_classes} classes, as of the examples "
                f"before, but {num_classes} came; evaluate one model at a time"
            )
        is_finite = np.isfinite(outputs)
        whole = is_finite.all(axis=1)
        self._stretch(outputs[is_finite])
        if not whole.all():
            self.num_not_finite += int(count - np.count_nonzero(whole))
            class_ids, outputs = class_ids[whole], outputs[whole]
        if len(outputs):
            # Outputs that are no probabilities may be too large to be squared.
            with np.errstate(over="ignore", invalid="ignore"):
                self._add_finite(class_ids, outputs)

    def merge(self, other: "Outcomes") -> None:
        """Adds the sums of another shard in place; `other` is not changed.

        Raises:
          ValueError: If the two have different numbers of classes.
        """
        if other.num_classes:
            if not self.num_classes:
                self._grow(other.num_classes)
            self._add_moments(
                other.num_examples, other.probability_mean, other.square_deviations
            )
            self.confusion += other.confusion
        self.log_loss_sum += other.log_loss_sum
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self.num_not_finite += other.num_not_finite
        self.num_not_probabilities += other.num_not_probabilities
        self.num_saturated += other.num_saturated
        self.bin_counts += other.bin_counts
        self.bin_confidence_sums += other.bin_confidence_sums
        self.bin_right += other.bin_right

    def to_array(self) -> np.ndarray:
        """Returns all sums as one float64 array, the form in which TFMA stores them."""
        return np.concatenate(
            [
                [
                    self.num_classes,
                    self.log_loss_sum,
                    self.smallest,
                    self.largest,
                    self.num_not_finite,
                    self.num_not_probabilities,
                    self.num_saturated,
                ],
                self.bin_counts,
                self.bin_confidence_sums,
                self.bin_right,
                self.probability_mean,
                self.square_deviations,
                self.confusion.ravel(),
            ]
        ).astype(np.float64)

    @classmethod
    def from_array(cls, array: np.ndarray) -> "Outcomes":
        """Reads what `to_array` wrote.

        Raises:
          ValueError: If the array has another length than it says, or holds what no
            examples can add up to: it was damaged on the way.
        """
        if np.isnan(array).any():
            raise ValueError(
                "outcomes: expected numbers, but there is a NaN among the sums; "
                "evaluate the model again"
            )
        size, loss, smallest, largest, *counts = array[:7].tolist()
        bins, num_classes = NUM_CALIBRATION_BINS, int(size)
        lengths = [bins] * 3 + [num_classes] * 2 + [num_classes**2]
        if len(array) != 7 + sum(lengths):
            raise ValueError(
                f"outcomes of {num_classes} classes: expected {7 + sum(lengths)} "
                f"numbers, but {len(array)} came; evaluate the model again"
            )
        parts = np.split(array[7:].copy(), np.cumsum(lengths)[:-1])
        bin_counts, confidence_sums, bin_right, mean, deviations, confusion = parts
        if min(*counts, *bin_counts, *bin_right, *confusion) < 0:
            raise ValueError(
                "outcomes: expected counts of examples, but one of them is negative; "
                "evaluate the model again"
            )
        not_finite, not_probabilities, saturated = map(int, counts)
        return cls(
            confusion.astype(np.int64).reshape(num_classes, num_classes),
            mean,
            deviations,
            loss,
            smallest,
            largest,
            not_finite,
            not_probabilities,
            saturated,
            bin_counts.astype(np.int64),
            confidence_sums,
            bin_right.astype(np.int64),
        )

    def _add_finite(self, class_ids: np.ndarray, outputs: np.ndarray) -> None:
        """Adds at least one example, all of them finite."""
        count = len(outputs)
        # About the first example, so that equal outputs have a spread of exactly 0.
        mean = outputs[0] + (outputs - outputs[0]).mean(axis=0)
        self._add_moments(count, mean, np.square(outputs - mean).sum(axis=0))
        predicted = outputs.argmax(axis=1)
        np.add.at(self.confusion, (class_ids, predicted), 1)
        rows = np.arange(count)
        of_truth = np.maximum(outputs[rows, class_ids], _SMALLEST_PROBABILITY)
        self.log_loss_sum -= float(np.log(of_truth).sum())
        self.num_not_probabilities += int(np.count_nonzero(~_are_shares(outputs)))
        highest = outputs[rows, predicted]
        self.num_saturated += int(np.count_nonzero(highest >= SATURATION))
        # Against the edges themselves: 15 * p may round up to the next bin.
        bins = np.searchsorted(_BIN_EDGES, highest, side="right") - 1
        bins = np.clip(bins, 0, NUM_CALIBRATION_BINS - 1)
        right = predicted == class_ids
        size = NUM_CALIBRATION_BINS
        self.bin_counts += np.bincount(bins, minlength=size)
        self.bin_confidence_sums += np.bincount(bins, highest, size)
        self.bin_right += np.bincount(bins[right], minlength=size)

    def _add_moments(
        self, count: int, mean: np.ndarray, square_deviations: np.ndarray
    ) -> None:
        """Merges mean and squared deviations (Chan, Golub and LeVeque 1979).

        Before the confusion matrix, which tells how many examples there are already.
        """
        before = self.num_examples
        if not count:
            return
        share = count / (before + count)
        delta = mean - self.probability_mean
        self.square_deviations = (
            self.square_deviations
            + square_deviations
            + np.square(delta) * (before * share)
        )
        self.probability_mean = self.probability_mean + delta * share

    def _stretch(self, outputs: np.ndarray) -> None:
        if outputs.size:
            self.smallest = min(self.smallest, float(outputs.min()))
            self.largest = max(self.largest, float(outputs.max()))

    def _grow(self, num_classes: int) -> None:
        grown = Outcomes.empty(num_classes)
        self.confusion = grown.confusion
        self.probability_mean = grown.probability_mean
        self.square_deviations = grown.square_deviations


def class_probabilities(predictions: np.ndarray) -> np.ndarray:
    """Returns outputs with a column for each class, float64 of shape (B, K).

    Args:
      predictions: Shape (B, K), or (B, 1) of a model with one sigmoid unit, whose
        output p becomes (1 - p, p).

    Raises:
      ValueError: If the shape is another.
    """
    outputs = np.asarray(predictions, np.float64)
    if outputs.ndim != 2 or not outputs.shape[1]:
        raise ValueError(
            "predictions: expected the shape (examples, classes), but "
            f"{outputs.shape} came; evaluate a model with one output per class"
        )
    if outputs.shape[1] == 1:
        return np.concatenate([1.0 - outputs, outputs], axis=1)
    return outputs


def check_class_ids(class_ids: np.ndarray, count: int, num_classes: int) -> None:
    """Makes sure that each example has one label, which is one of the classes.

    Raises:
      ValueError: If not.
    """
    if class_ids.shape != (count,):
        raise ValueError(
            f"labels: expected one class id for each of {count} examples, but the "
            f"shape {class_ids.shape} came; give every example one label"
        )
    outside = (class_ids < 0) | (class_ids >= num_classes)
    if outside.any():
        raise ValueError(
            f"labels must be class ids from 0 to {num_classes - 1}, as many as the "
            f"model has outputs, but one is {class_ids[outside][0]}; map the labels "
            "to class ids, or evaluate the model that knows this class"
        )


def _are_shares(outputs: np.ndarray) -> np.ndarray:
    """Returns which rows are distributions over the classes."""
    within = (outputs >= -_TOLERANCE) & (outputs <= 1 + _TOLERANCE)
    adds_up = np.abs(outputs.sum(axis=1) - 1) <= _TOLERANCE
    return np.asarray(within.all(axis=1) & adds_up)
