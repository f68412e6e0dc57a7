# SPDX-License-Identifier: Apache-2.0
"""Writes the rules of the gate down for people: docs/gate-rules.md.

.venv/bin/python -m components.guarded_evaluator.document > docs/gate-rules.md
"""

import dataclasses

from components.guarded_evaluator import checks
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.evidence import Check
from components.guarded_evaluator.reasons import REASONS

_INTRODUCTION = """# Rules of the gate

What the GuardedEvaluator and `components.judge` hold a model to. This page is made from
`components/guarded_evaluator/document.py`; each limit is a field of `evaluation` in
`guard.yaml`.

Two things must come together for a block: the number crosses its limit, and the sample
is large enough to say so at `confidence`. What crosses the limit and may be chance
warns at most. Four rules are no matter of chance, and hold for any number of examples:
NaN, outputs that are no probabilities, `min_accuracy`, and what could not be judged.
"""
_ORDER = """
## What stands first

One failure shows in many numbers. Findings of one cause and subject become one: the
evaluator's own stays, the others go into its evidence. Then each blocking failure is
held against this table. What explains it says so; where only warnings do, the first of
them in the order of the catalogue blocks and stands first; where nothing does, the
class counts of the training split are asked whether `missing_class` or
`class_imbalance` do. Faults of the data that explain none of the failures stand behind
them: leakage makes a model look better, never worse.
"""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
      check: The check that applies it.
      cause: What it finds.
      measures: What is measured.
      limits: Fields of `EvaluationConfig` that it is held against.
      evidence: How the size of the sample counts, and the source of the method.
      effect: When it blocks, and when it warns.
    """

    check: Check
    cause: str
    measures: str
    limits: tuple[str, ...]
    evidence: str
    effect: str


_CHANCE = "blocks; warns where it may be chance"
_NONE = "none: no matter of chance"

RULES: tuple[Rule, ...] = (
    Rule(
        checks.check_enough_examples,
        "insufficient_evidence",
        "examples of the evaluation split, of each class, and classes of training that "
        "it lacks",
        ("min_eval_examples",),
        "none: it is about the evidence; 5 misses of 5 show a recall below 0.6",
        "blocks with fewer examples, with one class, or without a class that was "
        "learnt; warns with fewer than 5 examples of a class",
    ),
    Rule(
        checks.check_finite,
        "not_a_number",
        "answers that are NaN or infinite, on either split",
        (),
        _NONE,
        "blocks",
    ),
    Rule(
        checks.check_probabilities,
        "not_probabilities",
        "outputs that are below 0, above 1, or whose sum is not 1, by more than 0.01",
        (),
        _NONE,
        "blocks, and says whether they seem to be logits, log-probabilities, scores or "
        "independent sigmoid units",
    ),
    Rule(
        checks.check_mode_gap,
        "mode_gap",
        "accuracy and mean recall of inference below those of training mode or of "
        "batch statistics, on the same examples of either split",
        ("max_mode_gap", "certain_mode_distance", "require_modes"),
        "McNemar's exact test (1947) of accuracy; Welch's interval of mean recall; any "
        "number of examples where half of the probability and of the answers move",
        f"{_CHANCE}; a model that cannot be asked in training mode blocks as "
        "`check_failed`, unless it is known to have no other mode",
    ),
    Rule(
        checks.check_batch_dependence,
        "batch_dependence",
        "probability that moves when an example is asked about alone",
        ("max_batch_distance",),
        _NONE,
        "blocks",
    ),
    Rule(
        checks.check_overfit,
        "overfit",
        "accuracy and mean recall on the evaluation split below those on the training "
        "split",
        ("max_generalization_gap",),
        "Clopper and Pearson's bound of the evaluation accuracy (Newcombe's of the "
        "difference, 1998, where training examples were sampled); Welch's of mean "
        "recall",
        _CHANCE,
    ),
    Rule(
        checks.check_collapse,
        "collapse",
        "answers outside the most frequent answer, as a share of the examples outside "
        "it",
        ("min_leaving_share",),
        "binomial test against a model that leaves it half as often as it should",
        "blocks",
    ),
    Rule(
        checks.check_constant_output,
        "constant_output",
        "largest standard deviation over the examples of a class's probability",
        ("min_output_spread",),
        _NONE,
        "blocks",
    ),
    Rule(
        checks.check_dead_classes,
        "dead_class",
        "recall of each class, and classes that are never answered",
        ("min_class_recall",),
        "Clopper and Pearson's interval (1934) against twice the limit; binomial test "
        "that it is never answered; shared out over the classes (Bonferroni). Of many "
        "classes: Poisson's test that so many are never answered",
        _CHANCE,
    ),
    Rule(
        checks.check_slices,
        "collapse, constant_output, dead_class, mode_gap",
        "the same, slice by slice of the features in `slices`",
        ("slices", "min_slice_examples", "max_slices"),
        "as above, shared out over the slices (Bonferroni)",
        "blocks where the whole split does not already; a feature in `slices` of which "
        "no slice could be judged blocks; slices that are too small are listed",
    ),
    Rule(
        checks.check_slices,
        "weak_slice",
        "accuracy of a slice below that of the rest for the same mix of classes",
        ("max_slice_gap",),
        "joined intervals (Zou and Donner 2008), shared out over the slices",
        "blocks",
    ),
    Rule(
        checks.check_signal,
        "no_signal",
        "mean recall against that of answers that ignore the input",
        (),
        "permutation test of independence",
        "blocks; as `insufficient_evidence` where half the way to perfection could not "
        "be told from guessing",
    ),
    Rule(
        checks.check_underfit,
        "underfit",
        "mean recall on the training split, on the way from guessing to perfection",
        ("min_train_gain", "max_train_examples"),
        "Welch's interval",
        "warns",
    ),
    Rule(
        checks.check_thresholds,
        "below_threshold",
        "accuracy",
        ("min_accuracy",),
        _NONE,
        "blocks",
    ),
    Rule(
        checks.check_thresholds,
        "below_threshold",
        "accuracy and mean recall below those of the model in production, on the same "
        "examples",
        ("max_accuracy_drop",),
        "exact bound of the difference above half of the limit; Welch's interval of "
        "mean recall; shared out over the two. In a slice the limit is `max_slice_gap`",
        "blocks",
    ),
    Rule(
        checks.check_harmless_changes,
        "fragile_preprocessing",
        "right answers that a harmless change of the input makes wrong",
        ("max_flipped_share", "max_destroyed_share", "max_perturbed_examples"),
        "Clopper and Pearson's interval, shared out over the changes (Bonferroni)",
        "warns; blocks where as much accuracy is lost as `max_destroyed_share`",
    ),
    Rule(
        checks.check_calibration,
        "miscalibrated",
        "mean highest probability above the accuracy; wrong answers among those with a "
        "probability of at least 0.999",
        ("max_confidence_gap",),
        "Clopper and Pearson's interval, which is on the safe side (Hoeffding 1956)",
        "warns",
    ),
)
"""What the checks look for, in the order of `CHECKS`."""


def markdown() -> str:
    """Returns the page."""
    rows = [
        "| cause | measured | limit | evidence | effect |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, RULES),
    ]
    return "\n".join([_INTRODUCTION, *rows, "", *_limits(), _ORDER, *_reasons(), ""])


def default(name: str) -> str:
    """Returns the default of a limit, as it is written in `guard.yaml`."""
    value = getattr(EvaluationConfig(), name)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return "none" if value == () else str(value)


def _row(rule: Rule) -> str:
    limits = "<br>".join(f"`{name}` = {default(name)}" for name in rule.limits)
    causes = ", ".join(f"`{cause}`" for cause in rule.cause.split(", "))
    cells = (causes, rule.measures, limits or "-", rule.evidence, rule.effect)
    return f"| {' | '.join(cells)} |"


def _limits() -> list[str]:
    rows = ["## Limits", "", "| limit | default | why |", "| --- | --- | --- |"]
    for name, field in EvaluationConfig.model_fields.items():
        why = " ".join((field.description or "").split())
        rows.append(f"| `{name}` | {default(name)} | {why} |")
    return rows


def _reasons() -> list[str]:
    rows = ["| what explains | which failures | when |", "| --- | --- | --- |"]
    for reason in REASONS:
        names = (
            ", ".join(f"`{cause}`" for cause in listed)
            for listed in (reason.causes, reason.failures)
        )
        rows.append(f"| {' | '.join(names)} | {reason.when} |")
    return rows


if __name__ == "__main__":
    print(markdown(), end="")
