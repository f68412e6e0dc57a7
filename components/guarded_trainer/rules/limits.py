# SPDX-License-Identifier: Apache-2.0
"""The limits of the training rules, each with its reason and source.

A limit alone never blocks a model: `diagnosis` asks first whether the training has
come to anything. The limits only say which symptom is worth a name, so most of them
are those of the literature, where several tools agree to within a factor of ten.

Sources, by the names used below: SMD is SageMaker Debugger (the defaults of its
built-in rules); AUTOTRAINER is Zhang et al. 2021 (ICSE, doi:10.1109/ICSE43902.2021
.00043); TheDeepChecker is Ben Braiek and Khomh 2022 (arXiv:2204.00694).
"""

import pydantic

from components.settings import Settings


class GradientLimits(Settings):
    """Limits of gradients and of what a step makes of them."""

    vanishing_mean: float = pydantic.Field(default=1e-7, ge=0)
    """Mean absolute gradient of a layer below which it has vanished, while the loss
    is not yet low (SMD VanishingGradient)."""
    vanishing_norm: float = pydantic.Field(default=1e-4, ge=0)
    """Norm of the first layer's gradient below which, together with
    `vanishing_ratio`, it has vanished (AUTOTRAINER, beta_2)."""
    vanishing_ratio: float = pydantic.Field(default=1e-3, ge=0)
    """The same, in relation to the last layer's gradient (AUTOTRAINER, beta_1). Only
    both together: a small gradient is right in the end, a small ratio where the
    first layer is large."""
    exploding_norm: float = pydantic.Field(default=1e3, gt=0)
    """Norm of a layer's gradient from which it explodes. With scaled inputs and a
    mean loss a norm is of the order of 1; AUTOTRAINER calls a loss of 1e3 exploded,
    TheDeepChecker a mean absolute gradient of 1e6."""
    exploding_ratio: float = pydantic.Field(default=70.0, gt=0)
    """The same, in relation to the last layer's gradient (AUTOTRAINER, beta_3): what
    grows from layer to layer is an explosion, what is large everywhere is a large
    loss."""
    large_update: float = pydantic.Field(default=0.1, gt=0)
    """Change of a layer's weights in one step, in relation to the weights, above which
    the rate is too high (TheDeepChecker: 10 ** -1). SMD's 10 lets a step replace the
    weights ten times over."""
    small_update: float = pydantic.Field(default=1e-4, gt=0)
    """The same below which a layer hardly learns (TheDeepChecker: 10 ** -4). SMD's 1e-8
    is below what float32 can add to a weight: there nothing learns at all."""
    unchanged_update: float = pydantic.Field(default=1e-8, ge=0)
    """The same at which weights count as unchanged (SMD WeightUpdateRatio and the
    absolute tolerance of UnchangedTensor)."""
    unchanged_epochs: int = pydantic.Field(default=3, ge=1)
    """Epochs in a row with unchanged weights (SMD UnchangedTensor: 3)."""


class ActivationLimits(Settings):
    """Limits of what layers answer."""

    dead_share: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Share of a layer's ReLU units that answer 0 to the whole probe, above which it
    is worth a word (SMD DeadRelu: threshold_layer 50 %)."""
    fully_dead_share: float = pydantic.Field(default=0.95, ge=0, le=1)
    """The same from which too little passes the layer to learn from."""
    saturated_share: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Share of a layer's units on a flat end of their activation (SMD
    SaturatedActivation: threshold_layer 50 %; DeepDiagnosis and TheDeepChecker
    likewise)."""
    min_output_std: float = pydantic.Field(default=1e-5, ge=0)
    """Standard deviation of a layer's outputs below which they have vanished
    (DeepDiagnosis: variance below 1e-5)."""
    max_output_std: float = pydantic.Field(default=1e3, gt=0)
    """The same above which they have exploded. Normalised layers answer with about 1;
    DeepDiagnosis' 10 is passed by many a healthy layer of logits."""
    initial_loss_factor: float = pydantic.Field(default=10.0, gt=1)
    """Loss before the first step, in multiples of log(K), from which the initial
    weights are too large. A good start is near log(K); TheDeepChecker's 2 is passed
    by ReLU networks whose inputs have a standard deviation of a few units."""


class LossLimits(Settings):
    """Limits of the curves of loss and accuracy."""

    converged_share: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Loss, as a share of what guessing by class shares costs, below which the model
    has learnt its rows: gradients and updates are small then, as they should be."""
    diverging_factor: float = pydantic.Field(default=2.0, gt=1)
    """Loss in multiples of the first batch's from which it diverges, if it is also
    worse than guessing (TheDeepChecker: 2)."""
    exploded_loss: float = pydantic.Field(default=1e3, gt=0)
    """Loss of a batch that has exploded, if it is also `diverging_factor` times the
    first (AUTOTRAINER: 1e3)."""
    window: int = pydantic.Field(default=10, ge=2)
    """Epochs without a lower loss that count as not decreasing (SMD
    LossNotDecreasing: 10), and in which swings are counted."""
    swing: float = pydantic.Field(default=0.1, gt=0)
    """Rise of the loss from one epoch to the next that counts as a swing, as a share
    of log(K). AUTOTRAINER asks for 0.03 of accuracy, which is noise where an epoch
    has a hundred examples."""
    swing_share: float = pydantic.Field(default=0.2, gt=0, le=1)
    """Share of epochs with a swing from which the loss oscillates (AUTOTRAINER,
    eta)."""
    min_epochs: int = pydantic.Field(default=3, ge=1)
    """Epochs before the course of a loss is judged: one or two may be chance."""
    slow_gain: float = pydantic.Field(default=0.01, ge=0)
    """Fall of the loss per epoch, as a share of log(K), below which convergence is slow
    (AUTOTRAINER, delta: an accuracy gain of 0.01)."""
    falling_gain: float = pydantic.Field(default=0.01, ge=0)
    """Fall of the loss over each of the last epochs, as a share of the loss, from which
    training was not done yet."""
    noise_cost: float = pydantic.Field(default=1.0, gt=0)
    """Loss that dropout and noise add to the training mode of a model, as a share of
    log(K), from which they drown what there is to learn: noise then costs as much as
    knowing nothing."""
    penalty_share: float = pydantic.Field(default=0.9, gt=0, lt=1)
    """Share of the first loss that is made up of penalties, from which training is
    about small weights rather than about classes. Keras' own default of 0.01 for L2
    makes up less than half."""
    overfit_gap: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Accuracy that held-out rows surely lose against fitted ones before it is worth a
    word; the limit of the evaluator. SMD compares losses (0.1 of the training loss),
    which every model passes whose training loss is near 0."""
    overtraining_epochs: int = pydantic.Field(default=10, ge=1)
    """Epochs without a better held-out loss while the training loss falls (SMD
    Overtraining: patience_validation)."""
    stalled_seconds: float = pydantic.Field(default=1800.0, gt=0)
    """Seconds of one epoch from which training has stalled, if it is also ten times the
    median epoch (SMD StalledTrainingRule: 1800 s)."""


class InputLimits(Settings):
    """Limits of what enters the model, and of the model against its data."""

    max_scale: float = pydantic.Field(default=10.0, gt=0)
    """Root mean square of the inputs from which they are unscaled (AUTOTRAINER,
    omega_1: mean absolute value of 10). Initializers assume about 1."""
    min_scale: float = pydantic.Field(default=0.01, ge=0)
    """The same below which they are, unless they are all 0: the first layer then sees
    almost nothing."""
    max_scale_ratio: float = pydantic.Field(default=100.0, gt=1)
    """Largest over median root mean square of the features, from which one of them
    drowns the others."""
    max_parameters_per_example: float = pydantic.Field(default=100.0, gt=0)
    """Trainable weights per example above which a model without any regularisation is
    worth a warning. Two per example suffice to learn any labels by heart (Zhang et
    al. 2017, arXiv:1611.03530), yet such models often generalise; at a hundred
    nothing but the optimizer holds them back."""


class PredictionLimits(Settings):
    """Limits of what the model predicts for the probe."""

    one_class_share: float = pydantic.Field(default=0.99, gt=0, le=1)
    """Share of the probe that is given one class, above which the model knows only
    that class, unless nearly all of the probe carries it."""
    min_output_spread: float = pydantic.Field(default=1e-3, ge=0, le=0.5)
    """Standard deviation over the probe of a class's probability; if no class has as
    much, outputs ignore the input (TheDeepChecker: coefficient of variation 0.001).
    The limit of the evaluator."""
    max_class_ratio: float = pydantic.Field(default=10.0, ge=1)
    """Most frequent class over rarest (SMD ClassImbalance: threshold_imbalance)."""
    max_misprediction: float = pydantic.Field(default=0.7, ge=0, le=1)
    """Share of a rare class's examples that is misclassified, from which the imbalance
    does harm (SMD ClassImbalance: threshold_misprediction)."""
    min_recall: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Recall on the probe below which a class is not recognised at all. SMD Confusion
    asks for 0.9 of every class, which a hard problem never reaches."""
    min_class_rows: int = pydantic.Field(default=5, ge=1)
    """Fewest rows of a class in the probe to say so: by 5 rows a class with a recall of
    0.6 is wholly missed once in a hundred times."""


class BatchNormLimits(Settings):
    """Limits of BatchNorm and of the two modes."""

    max_mode_gap: float = pydantic.Field(default=0.05, ge=0, le=1)
    """Accuracy that inference mode may lose against training mode on the same rows; the
    limit of the evaluator."""
    certain_mode_gap: float = pydantic.Field(default=0.5, gt=0, le=1)
    """The same from which a gap counts however few the rows are; the limit of the
    evaluator."""
    max_mean_shift: float = pydantic.Field(default=1.0, gt=0)
    """Distance of a moving mean from the probe's, in standard deviations, that is worth
    a word: at 1 a ReLU behind it cuts other units than it was trained to."""
    max_log_variance_ratio: float = pydantic.Field(default=0.6931471805599453, gt=0)
    """The same for the variance: log(2), a factor of two."""
    max_initial_share: float = pydantic.Field(default=0.01, gt=0, le=1)
    """Share of the initial statistics, momentum ** steps, that may be left: at
    Keras' momentum of 0.99 it takes 459 steps to get below 1 %."""


class OutcomeLimits(Settings):
    """Limits of what a training has come to; gains are shares of what is possible.

    A gain is 0 for guessing by class shares and 1 for a model without a mistake. It is
    the largest of three: of accuracy over always answering the most frequent class, of
    mean recall over 1 / K, and of cross-entropy over the entropy of the class shares.
    The latter two see what a model has learnt of rare classes.
    """

    no_gain: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Gain on the very rows that were fitted below which nothing was learnt: 0.55 of
    accuracy on two balanced classes, 0.19 on ten. An untrained network reaches as much
    by chance."""
    poor_gain: float = pydantic.Field(default=0.5, ge=0, le=1)
    """The same below which the model is poor. Noisy labels make sound models poor, so
    this blocks only together with a symptom that cannot be had by noise."""
    kept_gain: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Share of the gain on fitted rows that held-out rows must keep; if they surely do
    not keep as much, and no more than guessing is left, labels were learnt by heart."""
    confidence: float = pydantic.Field(default=0.99, ge=0.5, lt=1)
    """Confidence of every one-sided test, as in the evaluator."""
    signal_confidence: float = pydantic.Field(default=0.999, ge=0.5, lt=1)
    """Confidence that held-out rows are answered better than by guessing, from which
    even a gain below `no_gain` counts: some tasks allow no more. Stricter, since the
    epoch that was kept is the best of many on these rows."""
    weak_confidence: float = pydantic.Field(default=0.9, ge=0.5, lt=1)
    """Confidence that `kept_gain` is missed where held-out rows show no gain at all:
    two signs that point the same way need not be as strong as one."""


class RuleLimits(Settings):
    """Limits of the training rules."""

    gradients: GradientLimits = GradientLimits()
    """Gradients and updates."""
    activations: ActivationLimits = ActivationLimits()
    """Outputs of layers."""
    loss: LossLimits = LossLimits()
    """Curves of loss and accuracy."""
    inputs: InputLimits = InputLimits()
    """Inputs, and the model's size against its data."""
    predictions: PredictionLimits = PredictionLimits()
    """Predictions for the probe."""
    batch_norm: BatchNormLimits = BatchNormLimits()
    """BatchNorm and the two modes."""
    outcome: OutcomeLimits = OutcomeLimits()
    """What the training has come to."""
