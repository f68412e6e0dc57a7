# SPDX-License-Identifier: Apache-2.0
"""What the trainer tells the evaluator and the report."""

from components.findings import Finding
from components.settings import Settings

TRAINING_RECORD_FILE = "training_record.json"
"""Name of the record under the `model_run` artifact."""


class Epoch(Settings):
    """The metrics of one epoch; None where a metric was not measured.

    `loss` and `accuracy` are Keras' running means over the epoch in training
    mode, before each step; those of the held-out rows are measured in inference
    mode after the epoch. Both losses are weighted by the class weights.
    """

    loss: float | None = None
    accuracy: float | None = None
    held_out_loss: float | None = None
    held_out_accuracy: float | None = None
    seconds: float | None = None


class BatchNormDrift(Settings):
    """How far the moving statistics of one BatchNorm layer are from the data's.

    With data mean m and variance v per channel, and moving mean M and variance V:
    `mean_shift` is the root mean square over channels of (M - m) / sqrt(v + eps),
    in standard deviations; `log_variance_ratio` is the root mean square of
    log((V + eps) / (v + eps)), 0 when they agree.
    """

    layer: str
    mean_shift: float
    log_variance_ratio: float
    initial_share: float
    """Share of the initial values still left in the moving statistics:
    momentum ** steps."""


class Recalibration(Settings):
    """What became of the BatchNorm recalibration; scores are of inference mode."""

    kept: bool
    """Whether the new statistics were kept: only if they do no harm on held-out
    rows."""
    num_examples: int
    """Training examples the new statistics were estimated from."""
    num_held_out: int
    """Rows of the re-check; 0 where none could be held out."""
    loss_before: float | None
    loss_after: float | None
    accuracy_before: float | None
    accuracy_after: float | None


class TrainingRecord(Settings):
    """One training, from the first batch to the export."""

    format_version: int = 1
    class_names: tuple[str, ...]
    num_parameters: int
    num_train_examples: int
    """Examples that the weights were fitted to."""
    num_held_out: int
    """Examples of the training split kept back for early stopping and re-checks."""
    batch_size: int
    steps_per_epoch: int
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    """Index (from 0) of the epoch whose weights were kept; None for the last."""
    stopped_because: str
    """Why training ended, in words."""
    batch_norm: tuple[BatchNormDrift, ...] = ()
    """Drift at the end of training, before any recalibration."""
    recalibration: Recalibration | None = None
    """None where it was switched off or the model has no BatchNorm to recalibrate."""
    export_max_difference: float | None = None
    """Largest difference between a probability of the trained model and of the
    exported one, over the rows of the parity check."""
    findings: tuple[Finding, ...] = ()
    seed: int
    seconds: float
    versions: dict[str, str]
    """Versions of the libraries that shape the model."""
    devices: tuple[str, ...]
    """Devices TensorFlow trained on."""
