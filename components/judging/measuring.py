# SPDX-License-Identifier: Apache-2.0
"""Measures a model in this process: the very numbers that TFMA measures in a pipeline.

The same examples are asked about in the same batches, and the same sums are made of
the answers; a test compares both, number by number.
"""

import dataclasses
import itertools

import numpy as np

from components.findings import Finding, failed_check
from components.guarded_evaluator.batching import plan_batches
from components.guarded_evaluator.config import EvaluationConfig
from components.judging import companions
from components.judging.asking import Asking, Given
from components.judging.data.source import JudgedData, JudgedSplit
from components.judging.models.asked import COPY, AskedModel, EnteringScale
from components.judging.perturbations import Perturbations
from components.judging.slicing import Slicing
from components.judging.tally import Tally
from components.records.evaluation import CANDIDATE, EvaluationRecord
from components.records.training import BatchNormDrift

_DRIFT_BATCHES = 64
"""Batches of training examples that BatchNorm is compared with: at 32 examples to a
batch 2,048, by which a mean is known to 0.02 standard deviations."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What came of asking a model.

    Attributes:
      evaluation: The numbers.
      batch_norm: Drift of its BatchNorm layers, the most drifted first.
      entering: Size of what reaches its first weights; None where it is not known.
      findings: What kept something from being measured.
    """

    evaluation: EvaluationRecord
    batch_norm: tuple[BatchNormDrift, ...]
    entering: EnteringScale | None
    findings: tuple[Finding, ...]


def measure(
    model: AskedModel,
    data: JudgedData,
    config: EvaluationConfig,
    batch_size: int,
    baseline: AskedModel | None = None,
) -> Measured:
    """Asks a model about both splits, in all modes that it has.

    Holds one batch in memory at a time.

    Args:
      model: The model under judgement.
      data: The examples.
      config: Says how many, by which slices, and how the splits are called.
      batch_size: Batch size of training.
      baseline: The model in production; None where there is none.

    Raises:
      InputError: If a model does not take the data, or there is no such feature to
        slice by.
    """
    asking, tally, slicing = Asking(model, baseline), Tally(), Slicing(data, config)
    changes = Perturbations(data, config)
    learnt = plan_batches(data.train.hashes, batch_size, config.max_train_examples)
    for positions in learnt:
        answers = asking.ask(data.train, positions)
        _add(tally, slicing, data.train, config.train_split, positions, answers)
    for positions in plan_batches(data.eval.hashes, batch_size):
        answers = asking.ask(data.eval, positions)
        _add(tally, slicing, data.eval, config.eval_split, positions, answers)
        of_candidate = answers[CANDIDATE]
        for name, rows, changed in changes.ask(model, data.eval, positions):
            some = positions[rows]
            for place, held in slicing.rows(data.eval, some):
                key = (name, config.eval_split, place)
                ids = data.eval.class_ids[some][held]
                tally.add_pair(key, ids, of_candidate[rows][held], changed[held])
    record = EvaluationRecord(
        class_names=tuple(map(str, data.labels)),
        results=tally.results(asking.left_out),
        pairs=(
            *tally.pairs(asking.left_out),
            companions.compare(model, data.eval, config.eval_split),
        ),
        unjudged_slices=slicing.unjudged,
        modes_missing_because=asking.modes_missing_because,
        has_no_modes=model.has_no_modes,
    )
    drift, entering, findings = _look_inside(asking, model, data.train, learnt)
    return Measured(record, drift, entering, (*asking.findings, *findings))


def _add(
    tally: Tally,
    slicing: Slicing,
    split: JudgedSplit,
    name: str,
    positions: np.ndarray,
    answers: dict[str, np.ndarray],
) -> None:
    class_ids = split.class_ids[positions]
    for place, held in slicing.rows(split, positions):
        for asked, given in answers.items():
            key, ids = (asked, name, place), class_ids[held]
            tally.add(key, ids, given[held])
            if asked != CANDIDATE:
                tally.add_pair(key, ids, answers[CANDIDATE][held], given[held])


def _look_inside(
    asking: Asking, model: AskedModel, split: JudgedSplit, batches: list[np.ndarray]
) -> tuple[tuple[BatchNormDrift, ...], EnteringScale | None, tuple[Finding, ...]]:
    """Looks at the layers that may be to blame, where the model shows them."""
    mode = next((mode for mode in asking.modes if mode != COPY), None)
    if mode is None or not batches:
        return (), None, ()
    given = (
        Given(split, positions).of(model, mode)
        for positions in itertools.islice(batches, _DRIFT_BATCHES)
    )
    drift: tuple[BatchNormDrift, ...] = ()
    entering, findings = None, []
    try:
        drift = model.drift(given)
    except Exception as error:
        findings.append(failed_check("judge: BatchNorm drift", error))
    try:
        entering = model.entering(Given(split, batches[0]).of(model, mode))
    except Exception as error:
        findings.append(failed_check("judge: scale of the inputs", error))
    return drift, entering, tuple(findings)
