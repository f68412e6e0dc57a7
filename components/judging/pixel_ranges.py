# SPDX-License-Identifier: Apache-2.0
"""Notices that a model was trained on pixels of another range than it is given.

Most often it was given 0 to 1 in training, by a division that nobody repeats in use.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.batching import last_hash_in_sample
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.intervals import mcnemar_p_value
from components.guarded_evaluator.metrics.paired import paired_outcomes
from components.judging.asking import Given
from components.judging.data.feeding import Pixels
from components.judging.data.source import JudgedData
from components.judging.models.asked import AskedModel
from components.records.evaluation import CANDIDATE, EvaluationRecord

RANGES: Mapping[Pixels, tuple[float, float]] = MappingProxyType(
    {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
)
_NUM_EXAMPLES = 256
_MIN_GAIN = 0.2
"""Least share of the examples that another range must make right: the wrong range
costs tenths, whatever the model."""


def explain(
    model: AskedModel,
    data: JudgedData,
    record: EvaluationRecord,
    config: EvaluationConfig,
    pixels: Pixels,
) -> Iterator[Finding]:
    """Yields a finding where the model does far better on pixels of another range.

    Args:
      model: The model under judgement; it is given arrays.
      data: The examples; pictures are all that the model is given.
      record: What was measured.
      config: The limits.
      pixels: The range that the model was given.
    """
    result = record.result(CANDIDATE, config.eval_split)
    if result is None or not result.accuracy <= 1 - _MIN_GAIN:
        return
    last = last_hash_in_sample(len(data.eval.hashes), _NUM_EXAMPLES)
    positions = np.flatnonzero(data.eval.hashes <= last)
    if not len(positions):
        return
    class_ids = data.eval.class_ids[positions]
    given = Given(data.eval, positions)
    answers = given.ask(model, CANDIDATE)
    better: list[tuple[float, Pixels, np.ndarray]] = []
    for other in RANGES:
        scaled = _scaled(given.of(model, CANDIDATE), RANGES[pixels], RANGES[other])
        outcome = paired_outcomes(class_ids, answers, model.ask(CANDIDATE, scaled))
        gain = float(outcome[2] - outcome[1]) / len(positions)
        chance = mcnemar_p_value(int(outcome[1]), int(outcome[2]))
        if gain >= _MIN_GAIN and chance <= config.alpha:
            better.append((gain, other, outcome))
    if not better:
        return
    _, other, outcome = max(better, key=lambda found: found[0])
    yield find(
        "unscaled_input",
        f"With pixels of {_words(other)} the model is right on "
        f"{int(outcome[0] + outcome[2])} of {len(positions)} {config.eval_split} "
        f"examples, with {_words(pixels)}, as it is given them, on "
        f"{int(outcome[0] + outcome[1])}: it seems to have been trained on others than "
        "it is given.",
        severity=Severity.BLOCK,
        remedy=f"Judge it with `--pixels {other}` if it is served such pixels; better, "
        "put a `Rescaling` layer inside the model, so that nobody can forget it.",
        subject=Subject(split=config.eval_split, feature=data.image_key),
        measured=float(outcome[0] + outcome[1]) / len(positions),
        limit=float(outcome[0] + outcome[2]) / len(positions),
        unit="accuracy",
        found_by="judge: pixel range",
    )


def _scaled(
    inputs: Any, given: tuple[float, float], wanted: tuple[float, float]
) -> Any:
    """Returns pictures with pixels of another range; what is no picture stays."""
    if isinstance(inputs, Mapping):
        return {name: _scaled(value, given, wanted) for name, value in inputs.items()}
    if np.ndim(inputs) != 4:
        return inputs
    shares = (np.asarray(inputs, np.float32) - given[0]) / (given[1] - given[0])
    return shares * np.float32(wanted[1] - wanted[0]) + np.float32(wanted[0])


def _words(pixels: Pixels) -> str:
    return pixels.replace("..", " to ")
