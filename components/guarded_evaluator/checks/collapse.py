# SPDX-License-Identifier: Apache-2.0
"""Checks that the answers depend on the input, and that no class is overlooked."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import class_counts, listing
from components.guarded_evaluator.decision import Evidence
from components.guarded_evaluator.intervals import upper_bound
from components.records.evaluation import CANDIDATE


def check_collapse(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when one class is answered to almost everything."""
    collapsed = _collapsed(evidence)
    if collapsed is None:
        return
    k, leaving, outside = collapsed
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, predicted = class_counts(result)
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
    if sum(class_counts(result)[0]) < 2:
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
    """Blocks when classes are never predicted or hardly ever recognised.

    Nothing is added where the model has collapsed: then all classes but one are
    dead, which the collapse says.
    """
    if _collapsed(evidence) is not None:
        return
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    true, predicted = class_counts(result)
    names = evidence.evaluation.class_names
    dead = [k for k in np.flatnonzero(true) if _is_dead(int(k), evidence)]
    if not dead:
        return
    recalls = {k: result.confusion[k][k] / int(true[k]) for k in dead}
    listed = [
        f"{names[k]!r} ({result.confusion[k][k]} of {true[k]} found"
        f"{'' if predicted[k] else ', never predicted'})"
        for k in dead
    ]
    yield find(
        "dead_class",
        f"{len(dead)} of {np.count_nonzero(true)} classes are never or hardly ever "
        f"recognised in the {result.split} split: {listing(listed)}.",
        subject=Subject(
            split=result.split, class_name=names[dead[0]] if len(dead) == 1 else None
        ),
        measured=max(recalls.values()),
        limit=config.min_class_recall,
        unit="recall",
        evidence={"classes": [names[k] for k in dead[:100]]},
    )


def check_signal(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the mean recall over the classes is no better than guessing.

    The mean recall (balanced accuracy) of any answer that ignores the input is 1/K,
    whatever the class shares; a model must lie above that beyond noise. A normal
    interval, with one hit and one miss added per class (Agresti and Coull 1998) so
    that a recall of 0 or 1 does not count as certain.
    """
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, _ = class_counts(result)
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


def _collapsed(evidence: Evidence) -> tuple[int, int, int] | None:
    """Returns the one answered class, predictions outside it and examples outside.

    None where the model has not collapsed, or the sample is too small to say so:
    the predictions must be too few for a model that leaves the class even half as
    often as it should.
    """
    config = evidence.config
    true, predicted = class_counts(evidence.result(CANDIDATE, config.eval_split))
    total = int(true.sum())
    if not total:
        raise ValueError("no example has a finite prediction")
    k = int(np.argmax(predicted))
    leaving, outside = total - int(predicted[k]), total - int(true[k])
    if not outside or leaving > config.min_leaving_share * outside:
        return None
    chance = float(stats.binom.cdf(leaving, total, 0.5 * outside / total))
    return (k, leaving, outside) if chance <= config.alpha else None


def _is_dead(k: int, evidence: Evidence) -> bool:
    """Returns whether a class that occurs is surely overlooked."""
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    true, predicted = class_counts(result)
    total, count = int(true.sum()), int(true[k])
    # A model that answered the class half as often as it occurs would do so at
    # least once.
    chance = float(stats.binom.pmf(0, total, 0.5 * count / total))
    if not predicted[k] and chance <= config.alpha:
        return True
    high = upper_bound(result.confusion[k][k], count, config.confidence)
    return high < config.min_class_recall
