# SPDX-License-Identifier: Apache-2.0
"""Checks that there is enough to judge by, and that it is finite."""

from collections.abc import Iterator

import numpy as np

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    FEW_PER_CLASS,
    class_counts,
    is_all_broken,
    listing,
)
from components.guarded_evaluator.evidence import Evidence
from components.records.evaluation import CANDIDATE


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
    if result.num_examples and is_all_broken(result):
        return
    true, _ = class_counts(result)
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
    few = [names[k] for k in range(len(true)) if 0 < true[k] < FEW_PER_CLASS]
    if few:
        yield find(
            "insufficient_evidence",
            f"{len(few)} of {len(true)} classes have fewer than {FEW_PER_CLASS} "
            f"examples in the {result.split} split, so nothing is known of how they "
            f"are recognised: {listing(few)}.",
            severity=Severity.WARN,
            subject=Subject(split=result.split),
            measured=int(true[true > 0].min()),
            limit=FEW_PER_CLASS,
            unit="examples",
        )
    yield from _absent_classes(evidence)


def _absent_classes(evidence: Evidence) -> Iterator[Finding]:
    """Yields the classes that the model has learnt but is not judged on."""
    judged = evidence.result(CANDIDATE, evidence.config.eval_split)
    train = evidence.result(CANDIDATE, evidence.config.train_split)
    names = evidence.evaluation.class_names
    absent = [
        names[k]
        for k in np.flatnonzero(
            (class_counts(train)[0] > 0) & (class_counts(judged)[0] == 0)
        )
    ]
    if absent:
        yield find(
            "insufficient_evidence",
            f"{len(absent)} of {len(names)} classes occur in the {train.split} split "
            f"but not in the {judged.split} split, so nothing is known of how they are "
            f"recognised: {listing(absent)}.",
            remedy="Split so that each class is in every split, or add examples of "
            "these classes to the evaluation split.",
            subject=Subject(split=judged.split),
            measured=0,
            limit=1,
            unit="examples",
            evidence={"classes": absent[:100]},
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
