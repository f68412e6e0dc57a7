# SPDX-License-Identifier: Apache-2.0
"""From a model and data that can be asked to a judgement."""

import dataclasses
from collections.abc import Callable, Iterable

from components.causes import Severity
from components.class_balance.config import ClassBalanceConfig
from components.errors import InputError
from components.feature_validator.config import FeatureConfig
from components.findings import Finding, Verdict, failed_check, find
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence, decide
from components.judging.data.source import JudgedData
from components.judging.judgement import Judgement
from components.judging.measuring import Measured, measure
from components.judging.models.asked import AskedModel
from components.judging.scaling import settle
from components.leakage.config import LeakageConfig
from components.records.evaluation import PERTURBED_PREFIX, EvaluationRecord
from components.records.training import TrainingRecord

_NAME = "judge"
_DEFAULT_BATCH = 32
"""Batch size of `model.fit`, unless it is told another."""


@dataclasses.dataclass(frozen=True)
class DataLimits:
    """Limits of the data guards."""

    class_balance: ClassBalanceConfig = ClassBalanceConfig()
    features: FeatureConfig = FeatureConfig()
    leakage: LeakageConfig = LeakageConfig()


def conclude(
    model: AskedModel,
    data: JudgedData,
    config: EvaluationConfig,
    *,
    training: TrainingRecord | None = None,
    baseline: AskedModel | None = None,
    batch_size: int | None = None,
    data_limits: DataLimits | None = None,
    explain: Callable[[EvaluationRecord], Iterable[Finding]] = lambda record: (),
    on_step: Callable[[str], None] = lambda step: None,
) -> Judgement:
    """Looks through the data, asks the model, and decides as the pipeline does.

    Args:
      model: The model under judgement.
      data: The examples; the class ids are the positions of the model's outputs.
      config: The limits.
      training: What `fit_guarded` recorded; its findings count, too.
      baseline: The model in production; None where there is none.
      batch_size: Batch size of training; by default what the training record or the
        model tells, or 32.
      data_limits: Limits of the data guards; None leaves them out.
      explain: Looks for what else may explain what was measured.
      on_step: Called with what is being done.

    Raises:
      InputError: If the model does not take the data. Whatever else goes wrong is a
        finding that blocks.
    """
    upstream = list(training.findings) if training is not None else []
    not_run = []
    if data_limits is None:
        not_run.append("data guards: they were switched off.")
    else:
        on_step("looking through the data")
        upstream += _look_through(data, data_limits)
    if baseline is not None and (note := _incomparable(baseline, model)):
        upstream.append(note)
        baseline = None
    on_step("asking the model")
    size = (
        batch_size
        or (training.batch_size if training is not None else None)
        or model.batch_size
        or _DEFAULT_BATCH
    )
    try:
        measured = measure(model, data, config, size, baseline)
    except InputError:
        raise
    except Exception as error:
        verdict = Verdict.of(upstream, [failed_check(_NAME, error)])
        return Judgement(findings=verdict.findings, not_run=tuple(not_run))
    on_step("deciding")
    evidence = Evidence(
        config,
        measured.evaluation,
        training,
        (
            *settle(upstream, measured.entering),
            *measured.findings,
            *_explained(explain, measured.evaluation),
        ),
        measured.batch_norm,
    )
    return Judgement(
        findings=decide(evidence, CHECKS).findings,
        evaluation=measured.evaluation,
        not_run=(*not_run, *_left_out(measured, config)),
    )


def _look_through(data: JudgedData, limits: DataLimits) -> tuple[Finding, ...]:
    # Beam and TFDV take seconds to import, which judging without them must not cost.
    from components.judging.data import guards

    try:
        return guards.find(
            data,
            class_balance=limits.class_balance,
            features=limits.features,
            leakage=limits.leakage,
        )
    except InputError:
        raise
    except Exception as error:
        return (failed_check("judge: data guards", error),)


def _explained(
    explain: Callable[[EvaluationRecord], Iterable[Finding]], record: EvaluationRecord
) -> tuple[Finding, ...]:
    try:
        return tuple(explain(record))
    except Exception as error:
        return (failed_check("judge: explanations", error),)


def _incomparable(baseline: AskedModel, model: AskedModel) -> Finding | None:
    """Says so where the model in production answers other classes."""
    known = [each.spec.num_classes for each in (baseline, model)]
    if known[0] == known[1]:
        return None
    return find(
        "check_failed",
        f"The model in production knows {known[0]} classes that are not the {known[1]} "
        "of the new one, so the two are not compared.",
        severity=Severity.WARN,
        remedy="Nothing, if the classes were changed on purpose.",
        found_by=_NAME,
    )


def _left_out(measured: Measured, config: EvaluationConfig) -> list[str]:
    """Returns what the checks had nothing to look at for, and why."""
    record = measured.evaluation
    reasons = []
    if record.has_no_modes:
        reasons.append(
            "training mode: the model keeps no statistics beside its weights, so that "
            "training mode cannot do better than inference mode."
        )
    elif record.modes_missing_because:
        reasons.append(f"training mode: {record.modes_missing_because}.")
    if not config.max_perturbed_examples:
        reasons.append("harmless changes: `max_perturbed_examples` is 0.")
    elif not any(pair.other.startswith(PERTURBED_PREFIX) for pair in record.pairs):
        reasons.append(
            "harmless changes: the examples hold neither pictures nor fractions to "
            "change."
        )
    reasons += [
        f"slice {each.slice}: {each.reason}." for each in record.unjudged_slices
    ]
    return reasons
