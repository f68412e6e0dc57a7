# SPDX-License-Identifier: Apache-2.0
"""The limits of the gate, each with its reason."""

import pydantic

from components.settings import Settings


class EvaluationConfig(Settings):
    """What a model must hold to be promoted.

    A limit alone never blocks: the sample must also be large enough to say that it
    is broken, at the level of `confidence`. What you demand yourself, `min_accuracy`,
    is held against the number measured.
    """

    confidence: float = pydantic.Field(default=0.99, ge=0.5, le=0.999)
    """Confidence of every one-sided interval and test. Some twenty of them are made
    for each model, and noise must cross the limits below as well: of 1,000 simulated
    healthy models, with slices and harmless changes, 0.1 % are blocked. At most
    0.999: the permutation test of `no_signal` draws 2,000 times, and could not be as
    sure as more than that."""
    max_mode_gap: float = pydantic.Field(default=0.05, ge=0, le=1)
    """Most accuracy, and most mean recall over the classes, that inference mode may
    lose against training mode on the same examples. One-sided: dropout makes training
    mode worse, which never counts. A healthy BatchNorm loses nothing; 0.05 leaves
    room for batches whose own statistics happen to help."""
    certain_mode_distance: float = pydantic.Field(default=0.5, gt=0, le=1)
    """Mean total variation distance between the modes, and loss of accuracy, from
    which a gap counts however few the examples are: half of the probability and half
    of the answers move, which the noise of batch statistics does not do."""
    max_batch_distance: float = pydantic.Field(default=0.01, ge=0, le=1)
    """Mean total variation distance that an example's probabilities may move when the
    example is asked about alone instead of in a batch. Other kernels for other batch
    sizes round differently, by 1e-5 in float32 and some 1e-3 in half precision; batch
    statistics or dropout left on in use move tenths."""
    max_generalization_gap: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Most accuracy, and most mean recall over the classes, that the evaluation split
    may lose against the training split; 0.1 is the limit of deepchecks'
    TrainTestPerformance and of SageMaker Debugger's Overfit rule."""
    min_leaving_share: float = pydantic.Field(default=0.1, ge=0, le=0.5)
    """Predictions outside the most predicted class, as a share of the examples
    outside it, below which the model has collapsed: at 0.1 it overlooks nine of ten
    examples of all other classes together, whatever the class shares are. At most
    0.5, a share that a sound model may have by chance in a small sample."""
    min_class_recall: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Recall below which a class is dead (deepchecks' SimpleModelComparison: a gain
    of 0.1 per class over the most frequent class, whose recall elsewhere is 0), if a
    class recognised twice as often would surely have shown more hits; otherwise it
    warns."""
    min_output_spread: float = pydantic.Field(default=1e-3, ge=0, le=0.5)
    """Standard deviation over examples of a class's probability; if no class has as
    much, the outputs ignore the input (TheDeepChecker warns below a coefficient of
    variation of 0.001). For two classes; of K equal ones a perfect model has only
    2 sqrt(K - 1) / K times the spread, and the limit falls alike."""
    min_eval_examples: int = pydantic.Field(default=30, ge=1)
    """Fewest examples to judge by: with 30 the 95 % interval of an accuracy is up to
    0.37 wide (Clopper-Pearson)."""
    min_accuracy: float | None = pydantic.Field(default=None, ge=0, le=1)
    """Least accuracy on the evaluation split, if you know what your use needs."""
    max_accuracy_drop: float | None = pydantic.Field(default=0.02, ge=0, le=1)
    """Most accuracy, and most mean recall over the classes, that the model may lose
    against the newest one in production on the same examples; None compares
    nothing."""
    require_modes: bool = True
    """Whether a model that cannot be asked in training mode is blocked. Only models
    of the GuardedTrainer carry the copy that this needs; where it is false, such a
    model gets a warning."""
    max_train_examples: int = pydantic.Field(default=10_000, ge=1)
    """Most training examples to evaluate on; the standard error of an accuracy is
    then at most 0.005."""
    slices: tuple[str, ...] = ()
    """Features by whose values the splits are judged one by one: a collapse confined
    to one value blocks as well. Categories with few values, such as a site or a
    device."""
    max_slices: int = pydantic.Field(default=100, ge=1)
    """Most values of one feature to slice by; a feature with more is no category."""
    min_slice_examples: int = pydantic.Field(default=30, ge=1)
    """Fewest evaluation examples of a slice to judge it by, as `min_eval_examples`;
    smaller slices are listed."""
    max_perturbed_examples: int = pydantic.Field(default=1000, ge=0)
    """Most evaluation examples that are asked about again with harmless changes; 0
    leaves that out."""
    max_flipped_share: float = pydantic.Field(default=0.05, ge=0, le=1)
    """Most of the right answers that a harmless change of the input may make wrong;
    more warns, if it is sure. 0.05 is our choice, the same as `max_mode_gap`: neither
    how nor by whom a model is asked should change what it knows."""
    max_destroyed_share: float = pydantic.Field(default=0.5, gt=0, le=1)
    """The same from which it blocks, if as much accuracy is lost: of what the model
    knows, a change that nobody would notice leaves less than half. Ordinary networks
    lose up to 0.3 to a shift by one pixel (Azulay and Weiss 2019)."""
    max_confidence_gap: float = pydantic.Field(default=0.1, ge=0, le=1)
    """Most by which the mean highest probability may exceed the accuracy, of all
    answers and of those that are saturated; more warns, if it is sure. Networks that
    nobody calibrated are mostly off by less, some by 0.15 (Guo et al. 2017)."""
    max_slice_gap: float = pydantic.Field(default=0.2, ge=0, le=1)
    """Most accuracy that a slice may lose against the rest of the split with the same
    mix of classes, and against the model in production: a fifth, twice
    `max_generalization_gap`. Some slices are harder than others, and no model is to
    blame for that; deepchecks' WeakSegmentsPerformance allows a fifth of the score."""
    min_train_gain: float = pydantic.Field(default=0.5, ge=0, le=1)
    """Mean recall over the classes on the training split, as a share of the way from
    guessing to perfection, below which the model underfits, which warns: half, as
    `poor_gain` of the trainer's rules. Noisy labels make sound models poor, so it
    never blocks."""
    min_imbalance_ratio: float = pydantic.Field(default=4, gt=1)
    """How many times as frequent in training as the others on average the one answered
    class must be, or less frequent an overlooked class, for `class_imbalance` to be
    named as the reason. With two classes, 4 is a share of 20 %, from which Google's
    course on imbalanced data calls the imbalance moderate."""
    train_split: str = "train"
    """Name of the split that the model was trained on."""
    eval_split: str = "eval"
    """Name of the split that decides."""

    @pydantic.model_validator(mode="after")
    def _judges_on_other_examples(self) -> "EvaluationConfig":
        if self.train_split == self.eval_split:
            raise ValueError(
                f"`train_split` and `eval_split` are both {self.eval_split!r}: a model "
                "must be judged on examples that it has not trained on"
            )
        return self

    @property
    def alpha(self) -> float:
        """Chance that noise alone passes for evidence in one test."""
        return 1.0 - self.confidence
