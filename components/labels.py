# SPDX-License-Identifier: Apache-2.0
"""The classes of a problem: which there are, how often each occurs, what it weighs."""

from collections.abc import Sequence

import pydantic

from components.errors import InputError
from components.settings import Settings

LabelValue = int | str
"""A label as it stands in the data: an integer or a text."""


def parse_label(text: str, *, integer: bool) -> LabelValue:
    """Turns a label from statistics, where all labels are text, into its data type."""
    return int(text) if integer else text


class ClassTable(Settings):
    """The classes of a problem in the order of the model's outputs.

    The order is by value: ascending for integers, by code point for texts. All
    sequences have one entry per class.
    """

    label_key: str
    """Name of the label feature."""
    labels: tuple[LabelValue, ...]
    """Label values; output k of the model is the probability of `labels[k]`."""
    train_counts: tuple[int, ...]
    """Examples of each class in the training split."""
    weights: tuple[float, ...]
    """Weight of each class in the loss; their mean over the training examples
    is 1, so that the learning rate keeps its meaning."""
    weighting: str = "none"
    """How the weights were computed."""
    priors: tuple[float, ...] = ()
    """Share of each class in the training split, for a loss with adjusted logits
    (Menon et al. 2021); all positive, their sum is 1. Empty where they are not
    known."""
    split_counts: dict[str, tuple[int, ...]] = {}
    """Examples of each class in each split, the training split first, by the name of
    the split; a split whose labels are not all known is left out. Empty where only
    the training split was counted."""

    @pydantic.model_validator(mode="after")
    def _one_entry_per_class(self) -> "ClassTable":
        if not len(self.labels) == len(self.train_counts) == len(self.weights):
            raise ValueError(
                f"{len(self.labels)} labels, {len(self.train_counts)} counts and "
                f"{len(self.weights)} weights: there must be one of each per class"
            )
        if self.priors and len(self.priors) != len(self.labels):
            raise ValueError(
                f"{len(self.labels)} labels and {len(self.priors)} priors: there must "
                "be one of each per class, or no prior at all"
            )
        for split, counts in self.split_counts.items():
            if len(counts) != len(self.labels):
                raise ValueError(
                    f"{len(self.labels)} labels and {len(counts)} counts of split "
                    f"{split!r}: there must be one of each per class"
                )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels as text, for people."""
        return tuple(str(label) for label in self.labels)

    @property
    def is_integer(self) -> bool:
        """Whether the labels are integers rather than texts."""
        return all(isinstance(label, int) for label in self.labels)


def sorted_labels(labels: Sequence[LabelValue]) -> tuple[LabelValue, ...]:
    """Returns the distinct labels in the order of the model's outputs.

    Raises:
      InputError: If integers and texts are mixed.
    """
    distinct = set(labels)
    if len({type(label) for label in distinct}) > 1:
        raise InputError(
            "the labels must be all integers or all texts, but both occur: "
            f"{sorted(map(repr, distinct))[:6]}; give every example the same kind"
        )
    return tuple(sorted(distinct))
