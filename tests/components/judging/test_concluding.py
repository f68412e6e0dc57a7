# SPDX-License-Identifier: Apache-2.0
import types

import numpy as np
import pytest

from components.errors import InputError
from components.findings import find
from components.guarded_evaluator.config import EvaluationConfig
from components.judging import concluding
from components.judging.concluding import DataLimits, conclude
from components.judging.data import guards
from components.records.evaluation import CANDIDATE

CONFIG = EvaluationConfig(max_perturbed_examples=0, require_modes=False)


@pytest.fixture
def data(blobs, make_split):
    splits = [
        make_split(name, *part)
        for name, part in zip(("train", "eval"), blobs, strict=True)
    ]
    return types.SimpleNamespace(
        train=splits[0], eval=splits[1], labels=(0, 1, 2), label_key="label"
    )


@pytest.fixture
def model(make_model):
    def softmax(rows):
        exponents = np.exp(2 * rows)
        return exponents / exponents.sum(axis=1, keepdims=True)

    return make_model({CANDIDATE: softmax})


def causes(judgement):
    return [finding.cause for finding in judgement.blocking]


def test_findings_of_the_data_guards_count(data, model, monkeypatch):
    found = find("group_leakage", "They share patients.")
    monkeypatch.setattr(guards, "find", lambda *_, **limits: (found,))
    judgement = conclude(model, data, CONFIG, data_limits=DataLimits())
    assert causes(judgement) == ["group_leakage"]
    assert not any(line.startswith("data guards") for line in judgement.not_run)


def test_a_data_guard_that_fails_blocks(data, model, monkeypatch):
    def broken(*_, **limits):
        raise OSError("disk full")

    monkeypatch.setattr(guards, "find", broken)
    judgement = conclude(model, data, CONFIG, data_limits=DataLimits())
    assert causes(judgement) == ["check_failed"]
    assert "disk full" in judgement.blocking[0].message
    assert judgement.evaluation is not None


def test_wrong_use_ends_the_judgement(data, model, monkeypatch):
    def refuse(*_, **limits):
        raise InputError("train: expected others")

    monkeypatch.setattr(guards, "find", refuse)
    with pytest.raises(InputError, match="expected others"):
        conclude(model, data, CONFIG, data_limits=DataLimits())
    monkeypatch.setattr(concluding, "measure", refuse)
    with pytest.raises(InputError, match="expected others"):
        conclude(model, data, CONFIG)


def test_explanations_count_and_block_where_they_fail(data, model):
    found = find("low_variance", "Pictures hardly differ.")
    judgement = conclude(model, data, CONFIG, explain=lambda record: [found])
    assert found.cause in [finding.cause for finding in judgement.findings]

    def broken(record):
        raise KeyError("eval")

    assert causes(conclude(model, data, CONFIG, explain=broken)) == ["check_failed"]


@pytest.mark.parametrize(
    ("given", "of_model", "expected"), [(None, None, 32), (None, 17, 17), (8, 17, 8)]
)
def test_the_batch_size_is_that_of_training_where_it_is_known(
    data, model, monkeypatch, given, of_model, expected
):
    sizes = []

    def measure(model, data, config, batch_size, baseline):
        sizes.append(batch_size)
        raise InputError("enough")

    model.batch_size = of_model
    monkeypatch.setattr(concluding, "measure", measure)
    with pytest.raises(InputError):
        conclude(model, data, CONFIG, batch_size=given)
    assert sizes == [expected]


def test_what_could_not_be_looked_at_is_listed(data, model):
    data.eval.values["size"] = data.train.values["size"] = None
    model.modes_missing_because = "it has no such signature"
    config = CONFIG.model_copy(update={"slices": ("size",)})
    assert conclude(model, data, config).not_run == (
        "data guards: they were switched off.",
        "training mode: it has no such signature.",
        "harmless changes: `max_perturbed_examples` is 0.",
        "slice size: 'size' holds fractions.",
    )


def test_a_model_that_has_no_modes_misses_none(data, model):
    model.has_no_modes = True
    judgement = conclude(model, data, EvaluationConfig(max_perturbed_examples=0))
    assert judgement.passed
    assert "keeps no statistics" in judgement.not_run[1]
