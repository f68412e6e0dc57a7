# SPDX-License-Identifier: Apache-2.0
"""Holds the end of a model against its compiled loss.

What blocks is a pair that cannot be trained soundly. Many odd pairs can: Keras
remembers the logits of its softmax and sigmoid and puts them to the loss whatever
`from_logits` says, and independent units trained on one-hot labels rank the classes
well. Such a pair warns; what becomes of the training is judged by other rules.
"""

import dataclasses
from collections.abc import Iterator

from components.causes import Severity
from components.findings import Finding, Subject, find

SOFTMAX, SIGMOID, LINEAR = "Softmax", "Sigmoid", "linear"
OTHER_ACTIVATIONS = (
    "Elu",
    "LeakyRelu",
    "Relu",
    "Relu6",
    "Selu",
    "Softplus",
    "Softsign",
    "Tanh",
)
"""Activations whose answers are neither probabilities nor fit to be logits."""

HINGES = ("hinge", "squared_hinge")
_OVER_CLASSES = ("categorical_hinge", "kl_divergence", "cosine_similarity")
_OF_PROBABILITIES = ("kl_divergence", "poisson")
_SQUARED = ("mean_squared_error",)
_REGRESSION = (
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """The end of a model, and what its loss is.

    Attributes:
      units: Units of the last layer.
      activation: What the model computes last: one of the names above; None where
        it is something else.
      logits: Whether the outputs are read as logits.
      loss: Name of Keras' own loss; "" for one of the user's making, which is
        trusted, or none.
      from_logits: Whether the loss takes logits; None where that is unknown.
    """

    units: int
    activation: str | None
    logits: bool
    loss: str
    from_logits: bool | None

    @property
    def binary(self) -> bool:
        """Whether the loss is a cross-entropy of independent units."""
        return self.loss.endswith("crossentropy") and self.loss.startswith("binary")

    @property
    def categorical(self) -> bool:
        """Whether the loss is a cross-entropy over all units."""
        return self.loss.endswith("crossentropy") and "categorical" in self.loss

    @property
    def wants_probabilities(self) -> bool:
        """Whether the loss is only defined for probabilities."""
        if self.loss in _OF_PROBABILITIES:
            return True
        return (self.binary or self.categorical) and self.from_logits is False

    @property
    def ending(self) -> str:
        """What the model ends with, in words."""
        names = {SOFTMAX: "a softmax", SIGMOID: "a sigmoid", LINEAR: "a linear layer"}
        return names.get(self.activation or "", f"{self.activation}")


def check(pair: Pair) -> tuple[Finding, ...]:
    """Returns at most one finding: the worst that is wrong with the pair."""
    for problems, severity in (
        (_unsound(pair), Severity.BLOCK),
        (_odd(pair), Severity.WARN),
    ):
        for problem, remedy in problems:
            return (
                find(
                    "loss_mismatch",
                    f"Output layer and loss do not fit: {problem}.",
                    severity=severity,
                    remedy=remedy,
                    subject=Subject(split="train"),
                    found_by="GuardedTrainer",
                ),
            )
    return ()


def _unsound(pair: Pair) -> Iterator[tuple[str, str | None]]:
    """Yields what keeps a model from learning, with a remedy that fits better."""
    single = pair.units == 1
    if single and pair.activation == SOFTMAX:
        yield (
            "a softmax over one unit answers 1 to everything",
            "Use `Dense(1, activation='sigmoid')` with binary cross-entropy, or "
            "`Dense(2, activation='softmax')`.",
        )
    if single and (pair.categorical or pair.loss in _OVER_CLASSES):
        yield (
            f"{pair.loss} over one unit is the same for every answer",
            "Use binary cross-entropy for a single unit.",
        )
    raw = pair.logits or pair.activation in (LINEAR, *OTHER_ACTIVATIONS)
    if pair.wants_probabilities and raw:
        yield (
            f"{pair.loss} takes the model's raw outputs for probabilities",
            "End the model with a softmax (one unit per class) or a sigmoid (a single "
            "unit)"
            + (
                ", or set `from_logits=True` in the loss and leave the last layer "
                "linear."
                if pair.from_logits is not None and pair.loss not in _OF_PROBABILITIES
                else "."
            ),
        )
    if single and pair.loss in _REGRESSION and pair.activation != SIGMOID and raw:
        yield (
            f"{pair.loss} fits {pair.ending} to the class ids 0 and 1, which are "
            "names and no quantities",
            "End the model with a sigmoid, and use binary cross-entropy.",
        )


def _odd(pair: Pair) -> Iterator[tuple[str, str | None]]:
    """Yields what a model can learn with all the same."""
    bounded = (SOFTMAX, SIGMOID)
    if pair.from_logits and pair.activation in bounded:
        yield (
            f"{pair.loss or 'the loss'} expects raw outputs, but the model ends with "
            f"{pair.ending}; Keras goes back to what was before it, where it can",
            None,
        )
    if pair.from_logits and pair.activation in OTHER_ACTIVATIONS:
        yield (
            f"{pair.loss or 'the loss'} expects raw outputs, but {pair.activation} "
            "cuts off a part of them",
            "Leave the last layer linear.",
        )
    if pair.units > 1 and pair.binary and pair.activation == SOFTMAX:
        yield (
            f"{pair.loss} treats the classes as independent, a softmax does not",
            "Use categorical cross-entropy.",
        )
    if pair.units > 1 and pair.categorical and pair.activation == SIGMOID:
        yield (
            f"{pair.loss} treats the classes as exclusive, a sigmoid does not",
            "Use a softmax.",
        )
    is_score = pair.loss in _SQUARED and pair.activation in bounded
    if (pair.loss in _REGRESSION or pair.loss in HINGES) and not is_score:
        yield (
            f"{pair.loss} is no loss of probabilities, so that those of this model "
            "mean little",
            "Use a cross-entropy.",
        )
