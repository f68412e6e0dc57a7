# SPDX-License-Identifier: Apache-2.0
"""The checks of the gate, one function each: evidence in, findings out."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.decision import Check, Evidence
from components.guarded_evaluator.intervals import (
    difference_lower_bound,
    lower_bound,
    mcnemar_p_value,
    upper_bound,
)
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
    ModelResult,
    PairedResult,
)

_FEW_PER_CLASS = 5
"""Fewest examples of a class by which its recall can be told from 0: with 5 misses
of 5 the recall is below 0.6 at 99 % confidence."""


def check_enough_examples(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the evaluation split is too small to tell good from bad."""
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    least = evidence.config.min_eval_examples
    if result.num_examples < least:
        yield find(
            "insufficient_evidence",
            f"The {result.split} split has {result.num_examples} examples; at least "
            f"{least} are needed to judge by.",
            subject=Subject(split=result.split),
            measured=result.num_examples,
            limit=least,
            unit="examples",
        )
    true, _ = _counts(result)
    if np.count_nonzero(true) < 2:
        yield find(
            "insufficient_evidence",
            f"The {result.split} split has examples of {np.count_nonzero(true)} of "
            f"{len(true)} classes; whether the model tells them apart cannot be seen.",
            subject=Subject(split=result.split),
            measured=int(np.count_nonzero(true)),
            limit=2,
            unit="classes",
        )
    names = evidence.evaluation.class_names
    few = [names[k] for k in range(len(true)) if 0 < true[k] < _FEW_PER_CLASS]
    if few:
        yield find(
            "insufficient_evidence",
            f"{len(few)} of {len(true)} classes have fewer than {_FEW_PER_CLASS} "
            f"examples in the {result.split} split, so nothing is known of how they "
            f"are recognised: {_listing(few)}.",
            severity=Severity.WARN,
            subject=Subject(split=result.split),
            measured=int(true[true > 0].min()),
            limit=_FEW_PER_CLASS,
            unit="examples",
        )


def check_finite(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the model answers NaN or infinity to any example."""
    for split in (evidence.config.eval_split, evidence.config.train_split):
        result = evidence.result(CANDIDATE, split)
        if result.num_not_finite:
            yield find(
                "not_a_number",
                f"The model answers NaN or infinity to {result.num_not_finite} of "
                f"{result.num_examples} examples of the {split} split.",
                subject=Subject(split=split),
                measured=result.num_not_finite,
                limit=0,
                unit="examples",
            )


def check_mode_gap(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when inference mode is worse than training mode on the same examples.

    Both full training mode and batch-statistics mode count: dropout can hide in the
    former what the latter shows. Reports the widest gap only.
    """
    config = evidence.config
    pairs = [
        pair
        for mode in (BATCH_STATISTICS_MODE, TRAINING_MODE)
        for split in (config.eval_split, config.train_split)
        if (pair := evidence.evaluation.pair(mode, split)) is not None
    ]
    if not pairs:
        yield find(
            "check_failed",
            "The model cannot be asked in training mode, so nothing is known of a "
            "gap between training and use.",
            severity=Severity.BLOCK if config.require_modes else Severity.WARN,
            remedy="Train with the GuardedTrainer, which exports a copy for judging; "
            "or set `require_modes: false` to accept the risk.",
            subject=Subject(model=CANDIDATE),
        )
        return
    gaps = [pair for pair in pairs if _gap(pair) > config.max_mode_gap]
    if not gaps:
        return
    worst = max(gaps, key=lambda pair: (_is_certain(pair, evidence), _gap(pair)))
    certain = _is_certain(worst, evidence)
    yield find(
        "mode_gap",
        f"On the same {worst.num_examples} {worst.split} examples the accuracy is "
        f"{_share(worst, worst.only_candidate_right):.1%} in inference mode and "
        f"{_share(worst, worst.only_other_right):.1%} in "
        f"{worst.other.replace('_', ' ')} mode{_blamed_layers(evidence)}"
        + ("." if certain else "; with so few examples this may be chance."),
        severity=Severity.BLOCK if certain else Severity.WARN,
        subject=Subject(split=worst.split, layer=_worst_layer(evidence)),
        measured=_gap(worst),
        limit=config.max_mode_gap,
        unit="accuracy",
        evidence={
            "p_value": _p_value(worst),
            "pairs": [pair.model_dump() for pair in pairs],
            "layers": [drift.model_dump() for drift in _drift(evidence)[:5]],
        },
    )


def check_overfit(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the training split does much better than the evaluation split."""
    config = evidence.config
    train = evidence.result(CANDIDATE, config.train_split)
    judged = evidence.result(CANDIDATE, config.eval_split)
    gap = train.accuracy - judged.accuracy
    if math.isnan(gap):
        raise ValueError("a split has no example with a finite prediction")
    if gap <= config.max_generalization_gap:
        return
    low = difference_lower_bound(_hits(train), _hits(judged), config.confidence)
    certain = low > config.max_generalization_gap
    yield find(
        "overfit",
        f"The accuracy is {train.accuracy:.1%} on {train.num_examples} training "
        f"examples and {judged.accuracy:.1%} on {judged.num_examples} evaluation "
        f"examples; the gap is at least {max(low, 0):.1%} at "
        f"{config.confidence:.0%} confidence.",
        severity=Severity.BLOCK if certain else Severity.WARN,
        subject=Subject(split=judged.split),
        measured=gap,
        limit=config.max_generalization_gap,
        unit="accuracy",
        evidence={"lower_bound": low},
    )


def check_collapse(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when one class is answered to almost everything."""
    collapsed = _collapsed(evidence)
    if collapsed is None:
        return
    k, leaving, outside = collapsed
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, predicted = _counts(result)
    names = evidence.evaluation.class_names
    never = [names[j] for j in range(len(true)) if true[j] and not predicted[j]]
    yield find(
        "collapse",
        f"The model answers {names[k]!r} to {predicted[k]} of {predicted.sum()} "
        f"{result.split} examples, of which {true[k]} are; it finds another class in "
        f"{leaving} of {outside} cases.",
        subject=Subject(split=result.split, class_name=names[k]),
        measured=leaving / outside,
        limit=evidence.config.min_leaving_share,
        unit="share",
        evidence={"never_predicted": never[:20]},
    )


def check_constant_output(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the probabilities do not depend on the input."""
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    spread = max(result.output_spread)
    if sum(_counts(result)[0]) < 2:
        return  # One example has no spread; `check_enough_examples` blocks it.
    # Written so that NaN blocks.
    if not spread >= evidence.config.min_output_spread:
        yield find(
            "constant_output",
            f"Over {result.num_examples} {result.split} examples no class's "
            f"probability varies by more than {spread:.2g} (standard deviation).",
            subject=Subject(split=result.split),
            measured=spread,
            limit=evidence.config.min_output_spread,
            unit="probability",
        )


def check_dead_classes(evidence: Evidence) -> Iterator[Finding]:
    """Blocks for each class that is never predicted or hardly ever recognised.

    Nothing is added where the model has collapsed: then all classes but one are
    dead, which the collapse says.
    """
    if _collapsed(evidence) is not None:
        return
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    true, predicted = _counts(result)
    total = int(true.sum())
    for k, name in enumerate(evidence.evaluation.class_names):
        hits = result.confusion[k][k]
        if not true[k]:
            continue
        # A model that answered the class half as often as it occurs would do so at
        # least once.
        chance = float(stats.binom.pmf(0, total, 0.5 * true[k] / total))
        never = not predicted[k] and chance <= config.alpha
        high = upper_bound(hits, int(true[k]), config.confidence)
        if not never and high >= config.min_class_recall:
            continue
        how = "is never predicted" if not predicted[k] else "is hardly ever recognised"
        yield find(
            "dead_class",
            f"Class {name!r} {how}: {hits} of its {true[k]} {result.split} examples "
            "are found.",
            subject=Subject(split=result.split, class_name=name),
            measured=hits / int(true[k]),
            limit=config.min_class_recall,
            unit="recall",
            evidence={"recall_upper_bound": high, "predicted": int(predicted[k])},
        )


def check_signal(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the mean recall over the classes is no better than guessing.

    The mean recall (balanced accuracy) of any answer that ignores the input is 1/K,
    whatever the class shares; a model must lie above that beyond noise. A normal
    interval, with one hit and one miss added per class (Agresti and Coull 1998) so
    that a recall of 0 or 1 does not count as certain.
    """
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, _ = _counts(result)
    present = np.flatnonzero(true)
    if len(present) < 2:
        return  # `check_enough_examples` blocks it.
    hits = np.array([result.confusion[k][k] for k in present])
    count = true[present]
    balanced = float(np.mean(hits / count))
    smoothed = (hits + 1) / (count + 2)
    error = float(np.sqrt(np.sum(smoothed * (1 - smoothed) / (count + 2)))) / len(
        present
    )
    low = balanced - float(stats.norm.ppf(evidence.config.confidence)) * error
    guessing = 1 / len(present)
    if not low > guessing:
        yield find(
            "no_signal",
            f"The mean recall over {len(present)} classes is {balanced:.1%} on "
            f"{result.num_examples} {result.split} examples, at least "
            f"{max(low, 0):.1%} at {evidence.config.confidence:.0%} confidence; "
            f"guessing gives {guessing:.1%}.",
            subject=Subject(split=result.split),
            measured=balanced,
            limit=guessing,
            unit="recall",
            evidence={"lower_bound": low},
        )


def check_thresholds(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when a bound that the configuration sets is missed."""
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    if config.min_accuracy is not None and not result.accuracy >= config.min_accuracy:
        yield find(
            "below_threshold",
            f"The accuracy on {result.num_examples} {result.split} examples is "
            f"{result.accuracy:.1%}; `min_accuracy` is {config.min_accuracy:.1%}.",
            subject=Subject(split=result.split),
            measured=result.accuracy,
            limit=config.min_accuracy,
            unit="accuracy",
            evidence={"lower_bound": lower_bound(*_hits(result), config.confidence)},
        )
    pair = evidence.evaluation.pair(BASELINE, config.eval_split)
    if pair is None or config.max_accuracy_drop is None:
        return
    if _gap(pair) > config.max_accuracy_drop and _p_value(pair) <= config.alpha:
        yield find(
            "below_threshold",
            f"On the same {pair.num_examples} {pair.split} examples the accuracy is "
            f"{_share(pair, pair.only_candidate_right):.1%}, that of the model in "
            f"production {_share(pair, pair.only_other_right):.1%}.",
            subject=Subject(split=pair.split, model=BASELINE),
            measured=_gap(pair),
            limit=config.max_accuracy_drop,
            unit="accuracy",
            evidence={"p_value": _p_value(pair)},
        )


CHECKS: tuple[Check, ...] = (
    check_enough_examples,
    check_finite,
    check_mode_gap,
    check_overfit,
    check_collapse,
    check_constant_output,
    check_dead_classes,
    check_signal,
    check_thresholds,
)
"""All checks of the gate."""


def _collapsed(evidence: Evidence) -> tuple[int, int, int] | None:
    """Returns the one answered class, predictions outside it and examples outside.

    None where the model has not collapsed, or the sample is too small to say so:
    the predictions must be too few for a model that leaves the class even half as
    often as it should.
    """
    config = evidence.config
    true, predicted = _counts(evidence.result(CANDIDATE, config.eval_split))
    total = int(true.sum())
    if not total:
        raise ValueError("no example has a finite prediction")
    k = int(np.argmax(predicted))
    leaving, outside = total - int(predicted[k]), total - int(true[k])
    if not outside or leaving > config.min_leaving_share * outside:
        return None
    chance = float(stats.binom.cdf(leaving, total, 0.5 * outside / total))
    return (k, leaving, outside) if chance <= config.alpha else None


def _counts(result: ModelResult) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples by true class and by predicted class, each shape (K,)."""
    confusion = np.array(result.confusion)
    return confusion.sum(axis=1), confusion.sum(axis=0)


def _hits(result: ModelResult) -> tuple[int, int]:
    confusion = np.array(result.confusion)
    return int(np.trace(confusion)), int(confusion.sum())


def _gap(pair: PairedResult) -> float:
    """Returns how much accuracy the other model has over the candidate."""
    if not pair.num_examples:
        raise ValueError(f"no example was compared with the {pair.other} model")
    return (pair.only_other_right - pair.only_candidate_right) / pair.num_examples


def _p_value(pair: PairedResult) -> float:
    return mcnemar_p_value(pair.only_candidate_right, pair.only_other_right)


def _is_certain(pair: PairedResult, evidence: Evidence) -> bool:
    return (
        _p_value(pair) <= evidence.config.alpha
        or pair.mean_distance >= evidence.config.certain_mode_distance
    )


def _share(pair: PairedResult, only: int) -> float:
    return (pair.both_right + only) / pair.num_examples


def _drift(evidence: Evidence) -> list:
    """Returns the layers' drift as it is in the exported model, the worst first."""
    record = evidence.training
    if record is None or (record.recalibration and record.recalibration.kept):
        return []
    return list(record.batch_norm)


def _worst_layer(evidence: Evidence) -> str | None:
    layers = _drift(evidence)
    return layers[0].layer if layers else None


def _blamed_layers(evidence: Evidence) -> str:
    layers = _drift(evidence)[:3]
    if not layers:
        return ""
    named = ", ".join(
        f"{drift.layer} (mean off by {drift.mean_shift:.2g} standard deviations, "
        f"variance by a factor of {math.exp(drift.log_variance_ratio):.2g})"
        for drift in layers
    )
    return f"; worst BatchNorm layers: {named}"


def _listing(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
