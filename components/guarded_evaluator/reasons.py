# SPDX-License-Identifier: Apache-2.0
"""The table of what explains what, and what the numbers must say for it."""

import dataclasses
from collections.abc import Callable

from components.findings import Finding
from components.guarded_evaluator.checks.counts import hits_of
from components.guarded_evaluator.facts import TRAINER, Facts
from components.guarded_evaluator.folding import classes_of

Condition = Callable[[Finding, Finding, Facts], bool]
"""Whether the first finding explains the second, a blocking failure of the model."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """One line of the table.

    Attributes:
      causes: Causes that explain.
      failures: Causes that they explain.
      when: What the numbers must say, for people.
      holds: The same, for the program.
    """

    causes: tuple[str, ...]
    failures: tuple[str, ...]
    when: str
    holds: Condition


ANSWERS = ("constant_output", "collapse", "dead_class", "no_signal")
"""Failures in what is answered."""


def why(finding: Finding, failure: Finding, facts: Facts) -> Reason | None:
    """Returns the line of the table by which a finding explains a failure."""
    for reason in REASONS:
        if finding.cause in reason.causes and failure.cause in reason.failures:
            if _is_near(finding, failure) and reason.holds(finding, failure, facts):
                return reason
    return None


def _is_near(finding: Finding, failure: Finding) -> bool:
    """Returns whether both are about the same slice, or the same whole.

    What fails in one slice may make the whole look worse than it is.
    """
    same = finding.subject.slice == failure.subject.slice
    return same or (failure.cause == "overfit" and not failure.subject.slice)


def _is_missing(finding: Finding, failure: Finding, facts: Facts) -> bool:
    missing, concerned = set(classes_of(finding)), set(classes_of(failure))
    if not failure.subject.slice and not facts.shows_in_every_mode(failure):
        return False
    if failure.cause == "collapse":
        return not missing & concerned
    return not missing or bool(missing & concerned)


def _is_outnumbered(finding: Finding, failure: Finding, facts: Facts) -> bool:
    if finding.subject.split not in (None, facts.config.train_split):
        return False
    if failure.subject.slice:
        # The finding counted the classes of the slice; the class that is answered in
        # place of those that are lacking is not lacking itself.
        return not set(classes_of(finding)) & set(classes_of(failure))
    return facts.outnumbering(failure) is not None


def _is_sorted(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return finding.subject.feature is None and facts.shows_in_training(failure)


def _only_on_eval(finding: Finding, failure: Finding, facts: Facts) -> bool:
    # Other class shares, or a feature that tells much, are found beside many a model
    # that was learnt by heart: what only warns of them is no reason here.
    is_shifted = finding.cause == "train_eval_skew" and finding.found_by.startswith(
        "FeatureValidator"
    )
    return (finding.blocks or is_shifted) and not facts.shows_on_train(failure)


def _not_on_train(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return facts.train is not None and not facts.shows_on_train(failure)


def _contradicts(finding: Finding, failure: Finding, facts: Facts) -> bool:
    best = finding.evidence.get("highest_possible_accuracy")
    if facts.train is None or not isinstance(best, float):
        return False
    hits, count = hits_of(facts.train)
    return bool(count) and 1 - best >= 0.5 * (1 - hits / count)


def _is_flat(finding: Finding, failure: Finding, facts: Facts) -> bool:
    # A few constant features beside others are common, and harm nothing.
    everything = finding.blocks or finding.unit == "share of the grey range"
    about_all = finding.subject.feature is None and finding.subject.class_name is None
    return everything and about_all and facts.shows_in_training(failure)


def _is_unscaled(finding: Finding, failure: Finding, facts: Facts) -> bool:
    # Statistics do not tell whether a layer of the model brings the range to order;
    # the trainer knows.
    known = facts.trainer_says("unscaled_input")
    return known is not False and facts.shows_in_training(failure)


def _went_wrong(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return finding.found_by.startswith(TRAINER) and facts.shows_in_training(failure)


def _is_lost_in_use(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return not facts.shows_in_every_mode(failure)


def _is_confined(finding: Finding, failure: Finding, facts: Facts) -> bool:
    name = finding.subject.slice
    return finding.blocks and bool(name) and facts.is_confined_to(str(name))


def _is_all(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return finding.blocks


def _is_general(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return (
        facts.misses_half_of_the_classes
        and facts.outnumbering(failure) is None
        and facts.shows_in_training(failure)
    )


def _is_fed(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return finding.blocks and finding.subject.feature is not None


def _is_exported(finding: Finding, failure: Finding, facts: Facts) -> bool:
    return finding.blocks


REASONS: tuple[Reason, ...] = (
    Reason(
        ("mode_gap",),
        ANSWERS,
        "another mode does not show the failure on the same examples",
        _is_lost_in_use,
    ),
    Reason(
        ("missing_class",),
        ("collapse", "dead_class"),
        "the class that is missing is the dead one, or not the one answered; every "
        "mode shows the failure",
        _is_missing,
    ),
    Reason(
        ("class_imbalance",),
        ("collapse", "dead_class", "no_signal"),
        "the class that is answered to almost everything is `min_imbalance_ratio` "
        "times as frequent in training as the others on average, or most dead classes "
        "as much less; the training split and every mode show the failure",
        _is_outnumbered,
    ),
    Reason(
        ("label_leakage",),
        ANSWERS,
        "the rows are in the order of the label; the training split and every mode "
        "show the failure",
        _is_sorted,
    ),
    Reason(
        ("train_eval_skew", "temporal_leakage", "label_leakage"),
        (*ANSWERS, "overfit", "weak_slice"),
        "it blocks itself, or features are distributed otherwise; the training split "
        "does not show the failure",
        _only_on_eval,
    ),
    Reason(
        ("conflicting_labels",),
        ("no_signal",),
        "the contradictions make up half of the errors on the training split",
        _contradicts,
    ),
    Reason(
        ("not_a_number",),
        ("not_a_number",),
        "it blocks itself, and is one of a feature",
        _is_fed,
    ),
    Reason(
        ("low_variance",),
        ANSWERS,
        "all features or pictures are alike; the training split and every mode show "
        "the failure",
        _is_flat,
    ),
    Reason(
        ("unscaled_input",),
        (*ANSWERS, "not_a_number"),
        "the trainer, where there was one, says so too; the training split and every "
        "mode show the failure",
        _is_unscaled,
    ),
    Reason(
        (
            "dead_relu",
            "exploding_gradient",
            "frozen_model",
            "learning_rate_too_high",
            "learning_rate_too_low",
            "loss_mismatch",
            "not_a_number",
            "poor_initialization",
            "saturated_activation",
            "unchanged_weights",
            "underfit",
            "vanishing_gradient",
        ),
        (*ANSWERS, "not_a_number"),
        "the trainer found it; the training split and every mode show the failure",
        _went_wrong,
    ),
    Reason(
        ("export_mismatch",),
        (*ANSWERS, "overfit", "mode_gap"),
        "it blocks itself",
        _is_exported,
    ),
    Reason(
        ("collapse", "constant_output", "dead_class", "mode_gap", "weak_slice"),
        ("overfit",),
        "the failure is that of one slice, and without it there is no gap",
        _is_confined,
    ),
    Reason(
        ("no_signal",),
        ("dead_class",),
        "always: of answers that tell nothing, it is chance which classes they miss",
        _is_all,
    ),
    Reason(
        ("underfit",),
        ("dead_class",),
        "at least half of the classes are overlooked, on the training split and in "
        "every mode, and not for being rare",
        _is_general,
    ),
    Reason(
        ("overfit",),
        ANSWERS,
        "the training split does not show the failure",
        _not_on_train,
    ),
)
"""All of them; the first line that holds counts."""
