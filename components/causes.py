# SPDX-License-Identifier: Apache-2.0
"""The catalogue of failures this project knows.

Reports, blessings, the command line and the documentation all read this table,
so that one failure has one name, one sentence and one remedy everywhere.

The order of the table is the order of explanation: a cause that stands further
up can bring about those below it (a class that is missing from the data makes
the model collapse, never the other way round). When several findings block a
model, the one whose cause stands first is named first. A check that could not run
explains nothing, and stands last.
"""

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType


class Severity(str, enum.Enum):
    """What a finding does to the promotion of a model."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Position for sorting: the most severe is 0."""
        return list(Severity).index(self)


class Stage(str, enum.Enum):
    """Where a cause is looked for."""

    STATISTICS = "statistics"
    EXAMPLES = "examples"
    TRAINING = "training"
    EXPORT = "export"
    EVALUATION = "evaluation"
    EVERYWHERE = "everywhere"


@dataclasses.dataclass(frozen=True)
class Cause:
    """One way in which a classifier fails.

    Attributes:
      id: Stable name, written to reports, blessings and metadata.
      severity: What a finding of this cause does unless the check that reports
        it decides otherwise.
      sentence: What it is, for somebody who has never met it.
      remedy: What to change.
      stages: Where it is looked for.
    """

    id: str
    severity: Severity
    sentence: str
    remedy: str
    stages: tuple[Stage, ...]


_BLOCK, _WARN = Severity.BLOCK, Severity.WARN

_TABLE = (
    Cause(
        "schema_anomaly",
        _BLOCK,
        "The data do not have the form they should: values missing, of another type, "
        "or outside their domain.",
        "Mend the values named in the message, or correct the schema where it is too "
        "narrow.",
        (Stage.STATISTICS, Stage.EXAMPLES),
    ),
    Cause(
        "missing_class",
        _BLOCK,
        "A class is absent from a split, so it cannot be learnt or cannot be judged.",
        "Collect examples of the class, split so that each class is in every split, "
        "or take the class out of the schema.",
        (Stage.STATISTICS,),
    ),
    Cause(
        "conflicting_labels",
        _WARN,
        "Examples of equal content carry different labels.",
        "Relabel or drop the examples named in the evidence.",
        (Stage.EXAMPLES,),
    ),
    Cause(
        "duplicate_leakage",
        _BLOCK,
        "The same example is in the training and in the evaluation split.",
        "Drop the shared examples from the evaluation split, or drop duplicates before "
        "the data are split.",
        (Stage.EXAMPLES,),
    ),
    Cause(
        "near_duplicate_leakage",
        _BLOCK,
        "Almost the same example is in the training and in the evaluation split.",
        "Drop the shared examples from the evaluation split, or split by source.",
        (Stage.EXAMPLES,),
    ),
    Cause(
        "group_leakage",
        _BLOCK,
        "Examples of one group (patient, user, scene) are in both splits.",
        "Split by group.",
        (Stage.EXAMPLES,),
    ),
    Cause(
        "temporal_leakage",
        _BLOCK,
        "The evaluation split is older than the training split.",
        "Split by time: train on the past, evaluate on what came after.",
        (Stage.EXAMPLES,),
    ),
    Cause(
        "label_leakage",
        _BLOCK,
        "One feature, or the order of the rows, alone tells the label.",
        "Drop the feature, or shuffle the rows.",
        (Stage.STATISTICS, Stage.EXAMPLES),
    ),
    Cause(
        "train_eval_skew",
        _BLOCK,
        "The evaluation split is distributed or scaled unlike the training split.",
        "Give both splits the same preprocessing, in the same column order and units.",
        (Stage.STATISTICS,),
    ),
    Cause(
        "class_imbalance",
        _WARN,
        "The classes are so uneven that a model gains by ignoring the rare ones.",
        "Collect examples of the rare classes, or train with class weights or an "
        "adjusted loss.",
        (Stage.STATISTICS,),
    ),
    Cause(
        "low_variance",
        _WARN,
        "Features or images hardly differ between examples or classes.",
        "Collect more varied data, or augment.",
        (Stage.STATISTICS, Stage.EXAMPLES),
    ),
    Cause(
        "loss_mismatch",
        _BLOCK,
        "Output layer, loss and label encoding do not belong together.",
        "Use a pair that fits: softmax over K units with sparse categorical "
        "cross-entropy for labels 0 to K-1, or one sigmoid unit with binary "
        "cross-entropy for two classes; `from_logits=True` where the layer is linear.",
        (Stage.TRAINING,),
    ),
    Cause(
        "not_probabilities",
        _BLOCK,
        "The outputs are no probabilities of the classes.",
        "End the model with a softmax over the classes, or put one behind it where it "
        "was trained on logits.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "not_a_number",
        _BLOCK,
        "NaN or infinity in inputs, loss, gradients, weights or predictions.",
        "Look for such values in the inputs first; then lower the learning rate and "
        "clip the gradients.",
        (Stage.EVERYWHERE,),
    ),
    Cause(
        "unscaled_input",
        _WARN,
        "A feature has a range that no layer of the model brings to order.",
        "Put a `Normalization` layer adapted on the training split, or a `Rescaling` "
        "layer, inside the model.",
        (Stage.STATISTICS, Stage.TRAINING),
    ),
    Cause(
        "learning_rate_too_high",
        _BLOCK,
        "The loss diverges or swings instead of falling.",
        "Lower the learning rate by a factor of ten, and clip the gradients.",
        (Stage.TRAINING,),
    ),
    Cause(
        "learning_rate_too_low",
        _BLOCK,
        "The loss hardly moves because each step changes the weights too little.",
        "Raise the learning rate by a factor of ten.",
        (Stage.TRAINING,),
    ),
    Cause(
        "poor_initialization",
        _WARN,
        "The initial weights make a layer's outputs vanish, explode or agree.",
        "Use the initializer made for the activation: `he_normal` for ReLU, "
        "`glorot_uniform` for tanh and softmax.",
        (Stage.TRAINING,),
    ),
    Cause(
        "vanishing_gradient",
        _BLOCK,
        "Gradients shrink to nothing before they reach the first layers.",
        "Use ReLU-like activations with `he_normal`, batch normalisation or residual "
        "connections.",
        (Stage.TRAINING,),
    ),
    Cause(
        "exploding_gradient",
        _BLOCK,
        "Gradients grow from layer to layer until a step destroys the weights.",
        "Clip the gradients (`clipnorm=1.0`) and lower the learning rate.",
        (Stage.TRAINING,),
    ),
    Cause(
        "dead_relu",
        _WARN,
        "Most units of a ReLU layer answer 0 to every input and no longer learn.",
        "Lower the learning rate, or use `leaky_relu` with `he_normal`.",
        (Stage.TRAINING,),
    ),
    Cause(
        "saturated_activation",
        _WARN,
        "Most units of a layer sit on the flat ends of their activation.",
        "Scale the inputs, and use ReLU-like activations inside the network.",
        (Stage.TRAINING,),
    ),
    Cause(
        "unchanged_weights",
        _BLOCK,
        "The weights of a trainable layer do not change while training.",
        "Make sure that the layer takes part in the loss and that the learning rate "
        "is not 0.",
        (Stage.TRAINING,),
    ),
    Cause(
        "frozen_model",
        _BLOCK,
        "Nothing is trainable, or fine-tuning moved the base so far that it forgot.",
        "Train the head on the frozen base first; then unfreeze from the top at a "
        "tenth of the learning rate.",
        (Stage.TRAINING,),
    ),
    Cause(
        "export_mismatch",
        _BLOCK,
        "The saved model does not predict what the trained model predicted.",
        "Keep all preprocessing in one place, inside the model, and save after the "
        "last change of the weights.",
        (Stage.EXPORT,),
    ),
    Cause(
        "mode_gap",
        _BLOCK,
        "The model does worse in inference mode than in training mode on the same "
        "examples.",
        "Switch BatchNorm recalibration on, train for more steps, or lower the "
        "momentum of the BatchNorm layers.",
        (Stage.TRAINING, Stage.EVALUATION),
    ),
    Cause(
        "batch_dependence",
        _BLOCK,
        "A prediction changes with what else is in the batch.",
        "Serve in inference mode: never bake `training=True` into the model.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "overfit",
        _BLOCK,
        "The model does much better on examples it has trained on than on others.",
        "Stop early with the best weights, add dropout, L2 or augmentation, take a "
        "smaller model, or collect more data.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "constant_output",
        _BLOCK,
        "The outputs ignore the input: every example gets the same probabilities.",
        "Look for dead or saturated layers, unscaled inputs and a learning rate that "
        "is too high.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "collapse",
        _BLOCK,
        "The model answers one class to almost everything.",
        "Mend the causes named above it; if none is named, look at class balance, "
        "learning rate and BatchNorm first.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "dead_class",
        _BLOCK,
        "A class that occurs is never predicted, or hardly ever recognised.",
        "Collect examples of the class, or train with class weights or an adjusted "
        "loss.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "weak_slice",
        _BLOCK,
        "The model does much worse on one slice of the data than on the rest.",
        "Collect more examples of this slice, or find out what is different there.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "no_signal",
        _BLOCK,
        "The predictions tell no more about the label than the class shares do.",
        "Check that the labels belong to the examples; then train longer or with a "
        "larger model.",
        (Stage.TRAINING, Stage.EVALUATION),
    ),
    Cause(
        "underfit",
        _WARN,
        "The model does poorly on the very examples it has trained on.",
        "Train for more epochs, or take a larger model.",
        (Stage.TRAINING, Stage.EVALUATION),
    ),
    Cause(
        "below_threshold",
        _BLOCK,
        "A metric misses a bound that the configuration sets.",
        "Improve the model, or set a bound that it can be held to.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "fragile_preprocessing",
        _WARN,
        "Small, harmless changes of the input flip predictions.",
        "Augment with such changes while training.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "miscalibrated",
        _WARN,
        "The model is far more certain of its answers than it is right.",
        "Do not act on its probabilities before they are calibrated (temperature "
        "scaling on held-out examples); stop earlier, or smooth the labels.",
        (Stage.EVALUATION,),
    ),
    Cause(
        "insufficient_evidence",
        _BLOCK,
        "The evaluation split is too small to tell a good model from a bad one.",
        "Add examples to the evaluation split.",
        (Stage.STATISTICS, Stage.EXAMPLES, Stage.EVALUATION),
    ),
    Cause(
        "check_failed",
        _BLOCK,
        "A check could not run, so nothing is known of what it looks for.",
        "Mend what kept the check from running, named in the message, and run again.",
        (Stage.EVERYWHERE,),
    ),
)

CATALOGUE: Mapping[str, Cause] = MappingProxyType({cause.id: cause for cause in _TABLE})
_RANKS = {cause.id: rank for rank, cause in enumerate(_TABLE)}


def rank(cause_id: str) -> int:
    """Position of a cause in the order of explanation; root causes come first.

    Raises:
      KeyError: If the catalogue has no such cause.
    """
    return _RANKS[cause_id]
