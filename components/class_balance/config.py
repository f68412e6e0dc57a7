# SPDX-License-Identifier: Apache-2.0
"""What the class balance validator holds a data set to."""

import enum

import pydantic

from components.settings import Settings


class Weighting(str, enum.Enum):
    """How class weights are computed from class counts."""

    EFFECTIVE_NUMBER = "effective_number"
    """Inverse of the effective number of examples (Cui et al. 2019)."""
    INVERSE_FREQUENCY = "inverse_frequency"
    """Inverse of the number of examples."""
    NONE = "none"
    """Every class weighs 1."""


class ClassBalanceConfig(Settings):
    """Limits of the checks, and how the class weights are computed."""

    train_split: str = pydantic.Field(default="train", min_length=1)
    """Split the class weights are computed from; TFX's name for it."""

    exclude_splits: tuple[str, ...] = ()
    """Splits that are not looked at, such as one for serving that has no labels."""

    min_examples_per_class: int = pydantic.Field(default=1, ge=1)
    """Fewest examples of a class in each split, in examples; fewer block.

    The default blocks only what is absent. A higher one is a promise about the
    problem that only its owner can make: whether few examples were enough is
    measured later, by the recall of the class and its confidence interval.
    """

    min_relative_share: float = pydantic.Field(
        default=0.1, ge=0, le=1, allow_inf_nan=False
    )
    """Smallest share of a class relative to an equal share of 1/K; less warns.

    0.1 is the default of cleanlab's class imbalance check: the rarest of K
    classes has less than 0.1/K of the examples.
    """

    min_evenness: float = pydantic.Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Smallest evenness of the class distribution, between 0 and 1; less warns.

    Evenness is (D - 1) / (K - 1), where D = exp(H) is the effective number of
    classes: the Hill number of order 1 (Jost 2006) of the K class shares with
    Shannon entropy H in nats. 0.5 is TheDeepChecker's limit on the same number.
    """

    max_unlabelled_share: float = pydantic.Field(
        default=0.0, ge=0, lt=1, allow_inf_nan=False
    )
    """Largest share of a split's examples without a label; more blocks.

    0, because a trainer either fails on such an example or, worse, takes the
    missing label for class 0.
    """

    max_recall_interval: float = pydantic.Field(
        default=0.5, gt=0, le=1, allow_inf_nan=False
    )
    """Largest width, at best, of the 95 % interval of a class's recall; a wider one
    warns. Splits other than the training split are judged.

    With n examples the exact interval (Clopper and Pearson 1934) is narrowest if
    all are recognised: 1 - 0.025 ** (1/n). Wider than 0.5, that is below 6 examples,
    not even a class that is always recognised can be told from the toss of a coin.
    """

    max_label_shift: float = pydantic.Field(
        default=0.15, ge=0, le=1, allow_inf_nan=False
    )
    """Largest share of a split's examples that would have to change their class for
    the classes to be distributed as in the training split (total variation distance);
    a greater one warns, if it is significant.

    0.15 is deepchecks' limit of label drift on Cramer's V, which equals this distance
    for two splits of equal size and two classes that are equally frequent overall.
    """

    max_unexplained_shift: float = pydantic.Field(
        default=0.25, ge=0, le=1, allow_inf_nan=False
    )
    """Largest such share that remains where the splits may have been balanced
    differently; a greater one blocks, if it is significant.

    To balance one split (to evaluate on equally many examples of each class, or to
    train on them) is good practice, and leaves the order of the classes as it is. What
    remains is a change of order, such as two classes of 75 : 25 in one split and
    25 : 75 in the other, which are at the limit. The limit is our choice.
    """

    significance: float = pydantic.Field(default=0.001, gt=0, lt=1, allow_inf_nan=False)
    """Chance, for each check of a comparison, of a finding between splits or slices
    that were drawn alike; shared out among the classes and splits or slices
    (Bonferroni)."""

    weighting: Weighting = Weighting.EFFECTIVE_NUMBER
    """How the class weights are computed."""

    beta: float = pydantic.Field(default=0.999, gt=0, lt=1)
    """Overlap of examples in `effective_number`; without a unit.

    A class counts for at most 1 / (1 - beta) examples. The paper tries 0.9, 0.99,
    0.999 and 0.9999: 0.9 hardly weights at all, 0.9999 is close to the inverse
    frequency for any class below some thousand examples. 0.999 lets classes of
    more than a few thousand examples weigh the same.
    """

    max_weight_ratio: float = pydantic.Field(default=10.0, ge=1, allow_inf_nan=False)
    """Largest ratio of two class weights; without a unit.

    Uncapped inverse frequencies are worse than no weights at all on long tails
    (CIFAR-100-LT-100: 69.41 % error against 61.76 %, "Bag of Tricks for
    Long-Tailed Visual Recognition", Zhang et al. 2021): a few examples of rare
    classes then decide each gradient. 10 is our choice.
    """

    @pydantic.model_validator(mode="after")
    def _train_split_is_looked_at(self) -> "ClassBalanceConfig":
        if self.train_split in self.exclude_splits:
            raise ValueError(
                f"`exclude_splits` must not name the training split, but holds "
                f"{self.train_split!r}; the class weights are computed from it"
            )
        return self
