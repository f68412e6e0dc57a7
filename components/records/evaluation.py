# SPDX-License-Identifier: Apache-2.0
"""What the evaluator measured, as plain numbers for `decision` and the report.

TFMA's own files stand beside it in the `evaluation` artifact and hold the same
numbers for TFMA's viewers.
"""

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


class ModelResult(Settings):
    """One model (or mode) on one split."""

    model: str
    """One of the names above."""
    split: str
    num_examples: int
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
    both_right: int
    only_candidate_right: int
    only_other_right: int
    both_wrong: int
    mean_distance: float
    """Mean total variation distance between the two models' probabilities,
    between 0 (equal) and 1."""

    @property
    def num_examples(self) -> int:
        """Examples that both models were asked about."""
        return (
            self.both_right
            + self.only_candidate_right
            + self.only_other_right
            + self.both_wrong
        )


class EvaluationRecord(Settings):
    """Everything measured in one evaluation."""

    format_version: int = 1
    class_names: tuple[str, ...]
    results: tuple[ModelResult, ...]
    pairs: tuple[PairedResult, ...] = ()

    def result(self, model: str, split: str) -> ModelResult | None:
        """Returns one model's result on one split, or None if not measured."""
        for result in self.results:
            if (result.model, result.split) == (model, split):
                return result
        return None

    def pair(self, other: str, split: str) -> PairedResult | None:
        """Returns the comparison with one other model, or None if not measured."""
        for pair in self.pairs:
            if (pair.other, pair.split) == (other, split):
                return pair
        return None
