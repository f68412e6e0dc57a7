# SPDX-License-Identifier: Apache-2.0
"""What the evaluator measured, as plain numbers for `decision` and the report.

TFMA's own files stand beside it in the `evaluation` artifact and hold the same
numbers for TFMA's viewers.
"""

import math

from components.settings import Settings

EVALUATION_FILE = "guard_evaluation.json"
"""Name of the record under the `evaluation` artifact."""

CANDIDATE = "candidate"
"""The serving model under judgement, in inference mode."""
TRAINING_MODE = "training"
"""The same weights in full training mode: batch statistics, dropout on."""
BATCH_STATISTICS_MODE = "batch_statistics"
"""The same weights in inference mode, but for BatchNorm, which uses the batch's
own statistics."""
BASELINE = "baseline"
"""The newest model in production."""
ONE_BY_ONE = "one_by_one"
"""The candidate again, asked about each example alone instead of in a batch."""
PERTURBED_PREFIX = "perturbed:"
"""Begins the names under which the candidate is asked about harmlessly changed
examples, such as `perturbed:brightness`."""

FORMAT_VERSION = 2
"""Version of the record; 1 had neither slices nor calibration."""
NUM_CALIBRATION_BINS = 15
"""Bins of equal width of the highest probability; 15 as in Guo et al. 2017."""
SATURATION = 0.999
"""Highest probability from which an answer counts as saturated."""


class CalibrationBin(Settings):
    """The examples whose highest probability p lies in one of the bins.

    Bin b of B holds b / B <= p < (b + 1) / B; the last one holds p = 1 as well.
    """

    num_examples: int = 0
    confidence_sum: float = 0.0
    """Sum of the highest probabilities."""
    num_right: int = 0


class ModelResult(Settings):
    """One model (or mode) on one split."""

    model: str
    """One of the names above."""
    split: str
    slice: str = ""
    """Slice of the split, as `feature=value`; empty for the whole split."""
    num_examples: int
    """All examples, also those whose predictions are not finite."""
    confusion: tuple[tuple[int, ...], ...]
    """Examples by true class (row) and predicted class (column), shape (K, K);
    the prediction is the class of the highest probability, the first on a tie."""
    mean_loss: float
    """Mean of -log(probability of the true class), in nats; probabilities are
    clipped to 1e-7 from below. NaN where a prediction is not finite."""
    output_spread: tuple[float, ...]
    """Standard deviation over examples of each class's probability, shape (K,)."""
    num_not_finite: int = 0
    """Examples with NaN or infinity among their predictions; they count nowhere
    else."""
    num_not_probabilities: int = 0
    """Examples whose finite outputs are no distribution: one below 0 or above 1, or
    a sum that misses 1, by more than 0.01."""
    output_range: tuple[float, float] | None = None
    """Smallest and largest finite output; None where there is none."""
    num_saturated: int = 0
    """Examples whose highest probability is at least `SATURATION`."""
    calibration: tuple[CalibrationBin, ...] = ()
    """`NUM_CALIBRATION_BINS` bins; empty where it was not measured."""

    @property
    def true_counts(self) -> tuple[int, ...]:
        """Examples of each class, shape (K,)."""
        return tuple(map(sum, self.confusion))

    @property
    def predicted_counts(self) -> tuple[int, ...]:
        """Examples given each class, shape (K,)."""
        return tuple(map(sum, zip(*self.confusion, strict=True)))

    @property
    def recalls(self) -> tuple[float | None, ...]:
        """Recall of each class, shape (K,); None for classes without examples."""
        return tuple(
            row[k] / sum(row) if sum(row) else None
            for k, row in enumerate(self.confusion)
        )

    @property
    def effective_predicted_classes(self) -> float:
        """exp(H) of the predicted class shares, with Shannon entropy H in nats.

        The Hill number of order 1 (Jost 2006): K where all classes are given equally
        often, 1 where it is always the same one; NaN without examples.
        """
        total = sum(self.predicted_counts)
        shares = [count / total for count in self.predicted_counts if count]
        if not shares:
            return math.nan
        return math.exp(-math.fsum(share * math.log(share) for share in shares))

    @property
    def class_distance(self) -> float:
        """Total variation distance between the predicted and the true class shares.

        Between 0 (equal) and 1; NaN without examples.
        """
        total = sum(self.true_counts)
        pairs = zip(self.true_counts, self.predicted_counts, strict=True)
        return sum(abs(a - b) for a, b in pairs) / (2 * total) if total else math.nan

    @property
    def mean_confidence(self) -> float:
        """Mean of the highest probability; NaN where it was not measured."""
        count = sum(bin.num_examples for bin in self.calibration)
        total = math.fsum(bin.confidence_sum for bin in self.calibration)
        return total / count if count else math.nan

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Naeini et al. 2015) over the bins.

        Mean over examples of the difference, by bin, between the share that is right
        and the mean highest probability; NaN where it was not measured.
        """
        count = sum(bin.num_examples for bin in self.calibration)
        off = math.fsum(
            abs(bin.num_right - bin.confidence_sum) for bin in self.calibration
        )
        return off / count if count else math.nan

    @property
    def accuracy(self) -> float:
        """Share of the examples predicted right; NaN without examples."""
        total = sum(map(sum, self.confusion))
        right = sum(row[k] for k, row in enumerate(self.confusion))
        return right / total if total else float("nan")


class PairedResult(Settings):
    """The candidate and another model on the same examples of one split."""

    other: str
    """Name of the other model or mode."""
    split: str
    slice: str = ""
    """Slice of the split, as `feature=value`; empty for the whole split."""
    both_right: int
    only_candidate_right: int
    only_other_right: int
    both_wrong: int
    mean_distance: float
    """Mean total variation distance between the two models' probabilities,
    between 0 (equal) and 1."""
    num_different: int = 0
    """Examples that the two give different classes, whoever is right."""

    @property
    def num_examples(self) -> int:
        """Examples that both models were asked about."""
        return (
            self.both_right
            + self.only_candidate_right
            + self.only_other_right
            + self.both_wrong
        )


class UnjudgedSlice(Settings):
    """A slice that was asked for and could not be judged."""

    slice: str
    """As `feature=value`, or the feature alone where none of it could be."""
    reason: str
    """Why not, in one sentence."""


class EvaluationRecord(Settings):
    """Everything measured in one evaluation."""

    format_version: int = FORMAT_VERSION
    class_names: tuple[str, ...]
    results: tuple[ModelResult, ...]
    pairs: tuple[PairedResult, ...] = ()
    unjudged_slices: tuple[UnjudgedSlice, ...] = ()
    modes_missing_because: str = ""
    """Why the model could not be asked in its training modes; empty where it was,
    and where nothing more is known than that it carries none."""
    has_no_modes: bool = False
    """Whether it is known that training mode cannot do better than inference mode:
    the model has no state beside its trained weights, such as moving statistics."""

    @property
    def slices(self) -> tuple[str, ...]:
        """The slices that were measured, sorted; without the whole split."""
        return tuple(sorted({r.slice for r in self.results if r.slice}))

    def result(self, model: str, split: str, slice: str = "") -> ModelResult | None:
        """Returns one model's result on one split, or None if not measured."""
        for result in self.results:
            if (result.model, result.split, result.slice) == (model, split, slice):
                return result
        return None

    def pair(self, other: str, split: str, slice: str = "") -> PairedResult | None:
        """Returns the comparison with one other model, or None if not measured."""
        for pair in self.pairs:
            if (pair.other, pair.split, pair.slice) == (other, split, slice):
                return pair
        return None
