# SPDX-License-Identifier: Apache-2.0
"""The published table of training rules, and how it is applied."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from components.guarded_trainer.rules import curves, plan, predictions, tensors
from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.symptoms import Sign, Symptom
from components.records.training import Epoch

Check: TypeAlias = Callable[
    [TrainingFacts, Sequence[Epoch], RuleLimits], Iterator[Sign]
]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
      name: Its name; that of SageMaker Debugger where the rule is the same.
      causes: Ids of the causes it points to.
      looks_at: What it is read from.
      limits: Its limits, as `group.field` of `RuleLimits`.
      source: Where it comes from, and why it differs from there.
      needs_probe: Whether it is blind after epochs without a reading of the probe.
      check: Yields a sign for each thing it sees as of the last of some epochs;
        with no epochs, before the first step.
    """

    name: str
    causes: tuple[str, ...]
    looks_at: str
    limits: tuple[str, ...]
    source: str
    check: Check
    needs_probe: bool = False

    @property
    def sentence(self) -> str:
        """When it fires, in one sentence."""
        return (self.check.__doc__ or "").split("\n\n")[0].removeprefix("Fires ")

    def look(
        self, facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
    ) -> Iterator[Symptom]:
        """Yields what the rule sees as of the last epoch."""
        for sign in self.check(facts, epochs, limits):
            details = dataclasses.asdict(sign)
            cause = details.pop("cause") or self.causes[0]
            yield Symptom(rule=self.name, cause=cause, epoch=len(epochs) - 1, **details)


_SMD = "SageMaker Debugger"
_OURS = "this project"

RULES: tuple[Rule, ...] = (
    Rule(
        "NothingTrainable",
        ("frozen_model",),
        "the model",
        (),
        _OURS,
        plan.nothing_trainable,
    ),
    Rule(
        "FrozenLayers",
        ("frozen_model",),
        "the model",
        (),
        _OURS,
        plan.frozen_layers,
    ),
    Rule(
        "UnscaledInput",
        ("unscaled_input",),
        "what enters the first layer with weights that is no normalisation",
        ("inputs.max_scale", "inputs.min_scale", "inputs.max_scale_ratio"),
        "AUTOTRAINER (abnormal data)",
        plan.unscaled_input,
    ),
    Rule(
        "Capacity",
        ("overfit",),
        "the model's size and the number of examples",
        ("inputs.max_parameters_per_example",),
        "Zhang et al. 2017",
        plan.capacity,
    ),
    Rule(
        "PoorWeightInitialization",
        ("poor_initialization",),
        "the loss before the first step, and the initial weights",
        ("activations.initial_loss_factor",),
        f"{_SMD}, TheDeepChecker; {_SMD} compares the variances of weights between "
        "layers, which differ tenfold wherever the widths do",
        plan.poor_initialization,
    ),
    Rule(
        "AllZero",
        ("poor_initialization",),
        "the weights",
        (),
        _SMD,
        tensors.all_zero,
        needs_probe=True,
    ),
    Rule(
        "ExplodingTensor",
        ("not_a_number",),
        "loss, weights, gradients and outputs",
        (),
        _SMD,
        tensors.exploding_tensor,
    ),
    Rule(
        "LossDivergence",
        ("learning_rate_too_high",),
        "the training loss",
        ("loss.diverging_factor", "loss.exploded_loss"),
        "TheDeepChecker, AUTOTRAINER",
        curves.loss_divergence,
    ),
    Rule(
        "OscillatingLoss",
        ("learning_rate_too_high",),
        "the training loss",
        ("loss.swing", "loss.swing_share", "loss.window"),
        "AUTOTRAINER; of the loss rather than of the accuracy",
        curves.oscillating_loss,
    ),
    Rule(
        "WeightUpdateRatio",
        ("learning_rate_too_high", "learning_rate_too_low"),
        "the change of the weights in one step of each epoch",
        ("gradients.large_update", "gradients.small_update"),
        f"{_SMD}, with the limits of TheDeepChecker: {_SMD}'s 10 and 1e-8 name only "
        "what no training survives",
        tensors.weight_update_ratio,
        needs_probe=True,
    ),
    Rule(
        "SlowConvergence",
        ("learning_rate_too_low",),
        "the training loss",
        ("loss.slow_gain", "loss.min_epochs"),
        "AUTOTRAINER; of the loss rather than of the accuracy",
        curves.slow_convergence,
    ),
    Rule(
        "LossNotDecreasing",
        ("underfit",),
        "the training loss",
        ("loss.window",),
        f"{_SMD}; silent once the loss is low",
        curves.loss_not_decreasing,
    ),
    Rule(
        "VanishingGradient",
        ("vanishing_gradient", "unchanged_weights"),
        "the gradients of the first and of the last layer",
        (
            "gradients.vanishing_mean",
            "gradients.vanishing_norm",
            "gradients.vanishing_ratio",
        ),
        f"{_SMD}, AUTOTRAINER; silent once the loss is low",
        tensors.vanishing_gradient,
        needs_probe=True,
    ),
    Rule(
        "ExplodingGradient",
        ("exploding_gradient",),
        "the gradients of the layers",
        ("gradients.exploding_norm", "gradients.exploding_ratio"),
        "AUTOTRAINER",
        tensors.exploding_gradient,
        needs_probe=True,
    ),
    Rule(
        "TensorVariance",
        ("poor_initialization",),
        "the outputs of the layers",
        ("activations.min_output_std", "activations.max_output_std"),
        f"{_SMD}, which has no limits of its own; DeepDiagnosis",
        tensors.tensor_variance,
        needs_probe=True,
    ),
    Rule(
        "DeadRelu",
        ("dead_relu",),
        "the outputs of ReLU layers",
        ("activations.dead_share", "activations.fully_dead_share"),
        _SMD,
        tensors.dead_relu,
        needs_probe=True,
    ),
    Rule(
        "SaturatedActivation",
        ("saturated_activation",),
        "the outputs of sigmoid and tanh layers but the last",
        ("activations.saturated_share",),
        _SMD,
        tensors.saturated_activation,
        needs_probe=True,
    ),
    Rule(
        "UnchangedTensor",
        ("unchanged_weights",),
        "the change of the weights in one step of each epoch",
        ("gradients.unchanged_update", "gradients.unchanged_epochs"),
        _SMD,
        tensors.unchanged_tensor,
        needs_probe=True,
    ),
    Rule(
        "StrongRegularization",
        ("underfit",),
        "the loss of both modes, and the first loss against the cross-entropy",
        ("loss.noise_cost", "loss.penalty_share"),
        "this project; UMLAUT looks at the dropout rate alone",
        curves.strong_regularization,
    ),
    Rule(
        "Overfit",
        ("overfit",),
        "the accuracy on fitted and on held-out rows",
        ("loss.overfit_gap",),
        f"{_SMD}; of accuracies with their intervals rather than of losses",
        curves.overfit,
    ),
    Rule(
        "Overtraining",
        ("overfit",),
        "the loss of fitted and of held-out rows",
        ("loss.overtraining_epochs",),
        _SMD,
        curves.overtraining,
    ),
    Rule(
        "StalledTraining",
        ("underfit",),
        "the duration of epochs",
        ("loss.stalled_seconds",),
        f"{_SMD}; a remark, since clocks decide nothing here",
        curves.stalled_training,
    ),
    Rule(
        "OneClassPredictions",
        ("collapse",),
        "the predicted classes",
        ("predictions.one_class_share",),
        _OURS,
        predictions.one_class_predictions,
        needs_probe=True,
    ),
    Rule(
        "ConstantOutput",
        ("constant_output",),
        "the predicted probabilities",
        ("predictions.min_output_spread",),
        "TheDeepChecker",
        predictions.constant_output,
        needs_probe=True,
    ),
    Rule(
        "ClassImbalance",
        ("class_imbalance",),
        "the class counts and the recall of each class",
        ("predictions.max_class_ratio", "predictions.max_misprediction"),
        _SMD,
        predictions.class_imbalance,
        needs_probe=True,
    ),
    Rule(
        "Confusion",
        ("dead_class",),
        "the recall of each class",
        ("predictions.min_recall", "predictions.min_class_rows"),
        f"{_SMD}, whose recall of 0.9 for every class no hard problem reaches",
        predictions.confusion,
        needs_probe=True,
    ),
    Rule(
        "ModeGap",
        ("mode_gap",),
        "the accuracy of both modes on the same rows",
        ("batch_norm.max_mode_gap", "batch_norm.certain_mode_gap"),
        _OURS,
        predictions.mode_gap,
        needs_probe=True,
    ),
    Rule(
        "BatchNormDrift",
        ("mode_gap",),
        "the moving statistics of each BatchNorm layer against the probe's",
        ("batch_norm.max_mean_shift", "batch_norm.max_log_variance_ratio"),
        _OURS,
        predictions.batch_norm_drift,
        needs_probe=True,
    ),
    Rule(
        "BatchNormMomentum",
        ("mode_gap",),
        "the momentum and the number of steps",
        ("batch_norm.max_initial_share",),
        _OURS,
        plan.batch_norm_momentum,
    ),
)


def look(
    facts: TrainingFacts,
    epochs: Sequence[Epoch] = (),
    limits: RuleLimits | None = None,
) -> tuple[Symptom, ...]:
    """Applies all rules to a training, as of its last epoch.

    Args:
      facts: What was known before the first step.
      epochs: The epochs so far, without those that were rolled back; none before the
        first step.
      limits: The limits; the default ones by default.

    Returns:
      What the rules see, in the order of the table; cheap enough for every epoch.
    """
    limits = limits or RuleLimits()
    return tuple(
        symptom for rule in RULES for symptom in rule.look(facts, epochs, limits)
    )
