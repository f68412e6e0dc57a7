# SPDX-License-Identifier: Apache-2.0
"""The label in numbers: how many examples of each class are in each split."""

import dataclasses
from collections.abc import Mapping

from components.errors import InputError
from components.labels import LabelValue, sorted_labels


@dataclasses.dataclass(frozen=True)
class LabelCounts:
    """The labels of one split.

    Attributes:
      split: Name of the split.
      num_examples: Examples in the split, with or without a label.
      num_labelled: Examples that carry a label.
      counts: Examples of each class that occurs; no entry is 0.
      sample_rate: Share of the split that all these numbers are counted from.
      num_distinct: Classes that occur, counted or not; None, as many as are counted.
      one_hot: Whether the label is K values per example, of which class k is the
        k-th.
      slice: Slice of the split that these are the labels of, as `feature=value`;
        None for the whole split.
    """

    split: str
    num_examples: int
    num_labelled: int
    counts: Mapping[LabelValue, int]
    sample_rate: float = 1.0
    num_distinct: int | None = None
    one_hot: bool = False
    slice: str | None = None

    @property
    def num_counted(self) -> int:
        """Labelled examples whose class is known."""
        return sum(self.counts.values())

    @property
    def num_unlabelled(self) -> int:
        """Examples without a label."""
        return self.num_examples - self.num_labelled

    @property
    def is_complete(self) -> bool:
        """Whether the class of every labelled example is known."""
        return self.num_counted == self.num_labelled


@dataclasses.dataclass(frozen=True)
class LabelDistribution:
    """The labels of all splits, and the classes that the schema asks for.

    Attributes:
      label_key: Name of the label feature.
      splits: One entry per split.
      domain: The classes the schema lists; empty where it lists none.
      slices: One entry per split and slice; empty without sliced statistics.

    Raises:
      InputError: If some of the labels are integers and others texts.
    """

    label_key: str
    splits: tuple[LabelCounts, ...]
    domain: tuple[LabelValue, ...] = ()
    slices: tuple[LabelCounts, ...] = ()

    def __post_init__(self) -> None:
        sources = {f"split {split.split}": tuple(split.counts) for split in self.splits}
        sources["the schema"] = self.domain
        kinds = {
            source: "integers" if isinstance(labels[0], int) else "texts"
            for source, labels in sources.items()
            if labels
        }
        if len(set(kinds.values())) > 1:
            found = ", ".join(f"{kind} in {source}" for source, kind in kinds.items())
            raise InputError(
                f"label {self.label_key!r}: expected either integers or texts "
                f"everywhere, but found {found}; give all the same data type"
            )

    @property
    def classes(self) -> tuple[LabelValue, ...]:
        """Classes that occur in any split or in the schema, in the model's order."""
        found = {label for split in self.splits for label in split.counts}
        return sorted_labels([*found, *self.domain])

    @property
    def expected_classes(self) -> tuple[LabelValue, ...]:
        """Classes that each split should hold, in the model's order.

        Those of the schema, or, where it lists none, those that occur in any split.
        """
        return sorted_labels(self.domain) if self.domain else self.classes

    def split(self, name: str) -> LabelCounts:
        """Returns the labels of one split.

        Raises:
          InputError: If there is no such split.
        """
        for split in self.splits:
            if split.split == name:
                return split
        raise InputError(
            f"statistics: expected a split {name!r} to compute class weights from, "
            f"but the splits are {[split.split for split in self.splits]}; name the "
            "training split in `train_split`"
        )
