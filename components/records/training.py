# SPDX-License-Identifier: Apache-2.0
"""What the trainer tells the evaluator and the report."""

import pydantic

from components.findings import Finding, Verdict
from components.settings import Settings

TRAINING_RECORD_FILE = "training_record.json"
"""Name of the record under the `model_run` artifact."""
FORMAT_VERSION = 2
"""Version of the record; 1 had neither probes nor remedies."""


class LayerReading(Settings):
    """What one layer did on the probe batch after an epoch.

    None where it does not apply to the layer. Gradients are those of the training
    loss in training mode; a layer's numbers pool all of its own weights.
    """

    layer: str
    """Path of the layer, as in `layer.path`."""
    gradient_norm: float | None = None
    """L2 norm of the gradient of the trainable weights."""
    gradient_mean: float | None = None
    """Mean absolute value of the gradient of the trainable weights."""
    weight_norm: float | None = None
    """L2 norm of the trainable weights."""
    update_ratio: float | None = None
    """Norm of the change of the trainable weights in one step of the epoch, divided
    by their norm before."""
    output_mean: float | None = None
    """Mean of the layer's outputs, in training mode."""
    output_std: float | None = None
    """Standard deviation of the layer's outputs, in training mode."""
    dead_share: float | None = None
    """Share of the units of a ReLU-like layer that answer 0 to the whole probe."""
    saturated_share: float | None = None
    """Share of the units of a sigmoid- or tanh-like layer that sit on a flat end for
    nearly the whole probe."""
    mean_shift: float | None = None
    """BatchNorm only: see `BatchNormDrift`, with the probe in place of the data."""
    log_variance_ratio: float | None = None
    """BatchNorm only: see `BatchNormDrift`, with the probe in place of the data."""
    not_finite: tuple[str, ...] = ()
    """Which of `weights`, `gradients` and `outputs` hold NaN or infinity."""


class ProbeReading(Settings):
    """One look at the model after an epoch, on the same examples each time.

    The probe is a fixed sample of the examples the weights are fitted to. Losses are
    mean cross-entropies (nats), unweighted.
    """

    num_examples: int
    training_loss: float | None = None
    """Training mode: batch statistics, dropout on."""
    training_accuracy: float | None = None
    inference_loss: float | None = None
    """Inference mode, on the same examples."""
    inference_accuracy: float | None = None
    predicted_shares: tuple[float, ...] = ()
    """Share of the probe that is given each class in inference mode."""
    true_shares: tuple[float, ...] = ()
    """Share of the probe that carries each class."""
    recalls: tuple[float | None, ...] = ()
    """Recall of each class in inference mode; None for classes not in the probe."""
    output_spread: float | None = None
    """Standard deviation over the probe of the predicted probabilities, the largest
    of all classes, in inference mode: 0 for a model that ignores its input."""
    layers: tuple[LayerReading, ...] = ()
    """In the order of the model; layers with neither weights nor activation are left
    out."""


class Epoch(Settings):
    """The metrics of one epoch; None where a metric was not measured.

    `loss` and `accuracy` are Keras' running means over the epoch in training
    mode, before each step; those of the held-out rows are measured in inference
    mode after the epoch. Both losses are weighted as the training loss is.
    """

    loss: float | None = None
    accuracy: float | None = None
    held_out_loss: float | None = None
    held_out_accuracy: float | None = None
    seconds: float | None = None
    learning_rate: float | None = None
    """Learning rate of the epoch's last step."""
    first_loss: float | None = None
    """Loss of the epoch's first batch, before its step."""
    worst_batch_loss: float | None = None
    """Largest running mean of the loss that Keras reported within the epoch."""
    attempt: int = 0
    """0 until something is rolled back, then one more for each roll-back; epochs of
    earlier attempts after the point that was gone back to did not shape the model."""
    phase: str = "training"
    """Phase of the training: `training`, or of transfer learning `head`,
    `fine_tuning`."""
    probe: ProbeReading | None = None


class Remedy(Settings):
    """Something that was changed to save a training, by the safeguards."""

    action: str
    """`lower_learning_rate`, `raise_learning_rate`, `clip_gradients`,
    `lower_batch_norm_momentum`, `recalibrate_batch_norm` or
    `roll_back_fine_tuning`."""
    cause: str
    """Id of the cause in the catalogue that it answers."""
    rule: str = ""
    """Name of the rule that noticed it."""
    epoch: int
    """Index (from 0) in `epochs` of the last epoch before the change."""
    back_to_epoch: int | None = None
    """Index in `epochs` of the epoch whose weights were gone back to; -1 for the
    initial weights; None where nothing was rolled back."""
    before: float | None = None
    """What was changed, before."""
    after: float | None = None
    """And after."""
    message: str
    """One sentence with the numbers."""
    helped: bool | None = None
    """Whether the trouble was gone afterwards; None where training ended before that
    could be seen."""


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
    seconds: float | None = None


class Forgetting(Settings):
    """How far fine-tuning moved the layers of a pretrained base."""

    layer: str
    distance: float
    """Norm of the change of the layer's weights since fine-tuning began, divided by
    their norm then."""


class TransferRecord(Settings):
    """What transfer learning did, beyond the epochs."""

    backbone: str
    weights: str
    """`imagenet`, the path of a file, or `none`."""
    num_base_layers: int
    unfrozen_layers: int
    """Layers with weights that fine-tuning trained at last; 0 for feature
    extraction."""
    head_held_out_accuracy: float | None = None
    """Accuracy on the retained rows with the base frozen."""
    tuned_held_out_accuracy: float | None = None
    """The same after fine-tuning; None where there was none."""
    moved: tuple[Forgetting, ...] = ()
    """The layers that moved farthest first."""
    tuning_kept: bool | None = None
    """Whether the fine-tuned weights were kept; None where there was none."""


class DeviceRecord(Settings):
    """What the model was trained on, and how."""

    devices: tuple[str, ...] = ()
    """Devices TensorFlow saw, such as `GPU: NVIDIA ...` or `CPU`."""
    strategy: str = "one device"
    """`one device`, `mirrored` or `multi-worker`."""
    num_replicas: int = 1
    precision: str = "float32"
    """Keras' dtype policy: `float32`, `mixed_float16` or `mixed_bfloat16`."""
    xla: bool = False
    notes: tuple[str, ...] = ()
    """Why it was chosen so, and advice; one sentence each."""


class TrainingRecord(Settings):
    """One training, from the first batch to the export."""

    format_version: int = pydantic.Field(default=FORMAT_VERSION, le=FORMAT_VERSION)
    class_names: tuple[str, ...]
    num_parameters: int
    num_trainable_parameters: int | None = None
    num_train_examples: int
    """Examples that the weights were fitted to."""
    num_held_out: int
    """Examples of the training split kept back for early stopping and re-checks."""
    batch_size: int
    """Examples per step, over all replicas."""
    steps_per_epoch: int
    optimizer: str = ""
    """Class of the optimizer, such as `Adam`."""
    loss: str = ""
    """Name of the loss, such as `sparse_categorical_crossentropy`."""
    epochs: tuple[Epoch, ...]
    """All epochs that were trained, in the order of time, also those that were rolled
    back."""
    best_epoch: int | None
    """Index (from 0) in `epochs` of the epoch whose weights were kept; None for the
    last."""
    stopped_because: str
    """Why training ended, in words."""
    remedies: tuple[Remedy, ...] = ()
    """In the order of time."""
    resumed_at: tuple[int, ...] = ()
    """Indices in `epochs` at which a training that had been killed was taken up."""
    batch_norm: tuple[BatchNormDrift, ...] = ()
    """Drift at the end of training, before any recalibration."""
    recalibration: Recalibration | None = None
    """None where it was switched off or the model has no BatchNorm to recalibrate."""
    transfer: TransferRecord | None = None
    """None where no pretrained base was asked for."""
    export_max_difference: float | None = None
    """Largest difference between a probability of the trained model and of the
    exported one, over the rows of the parity check."""
    findings: tuple[Finding, ...] = ()
    seed: int
    seconds: float
    versions: dict[str, str]
    """Versions of the libraries that shape the model."""
    devices: tuple[str, ...] = ()
    """Devices TensorFlow trained on."""
    device: DeviceRecord = DeviceRecord()
    data_fingerprints: dict[str, str] = {}
    """SHA-256 of the data by name of the split; order does not matter to it."""

    @property
    def verdict(self) -> Verdict:
        """The findings, the most likely root cause first."""
        return Verdict(findings=self.findings)

    @property
    def passed(self) -> bool:
        """Whether nothing was found that blocks a promotion."""
        return self.verdict.passed
