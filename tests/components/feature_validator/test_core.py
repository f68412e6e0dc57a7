# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from components.errors import InputError
from components.feature_validator import core
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import SchemaAnomaly
from components.findings import Verdict

CONFIG = FeatureConfig()
RNG = np.random.default_rng(0)


def test_good_data_have_no_findings(data):
    splits = data(train={"x": RNG.normal(size=500)}, eval={"x": RNG.normal(size=200)})
    assert core.judge(splits, CONFIG) == []


def test_fractions_for_whole_numbers_are_one_fault(data):
    train, other = RNG.integers(0, 17, (1000, 3)), RNG.integers(0, 17, (300, 3))
    splits = data(
        [SchemaAnomaly("eval", "f0", ("UNEXPECTED_DATA_TYPE",), "is FLOAT")],
        train={f"f{i}": train[:, i] for i in range(3)},
        eval={f"f{i}": other[:, i] / 16 for i in range(3)},
    )
    verdict = Verdict.of(core.judge(splits, CONFIG))
    assert {finding.cause for finding in verdict.blocking} == {"train_eval_skew"}


@pytest.mark.parametrize("checks", [core.COMPARISONS, core.CHECKS])
def test_a_check_that_raises_blocks_and_the_others_run(data, monkeypatch, checks):
    def fail(data, config):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setitem(checks, "find_trouble", fail)
    found = core.judge(data(train={"x": [np.nan]}), CONFIG)
    assert {finding.cause for finding in found} == {"check_failed", "not_a_number"}
    (failed,) = [finding for finding in found if finding.cause == "check_failed"]
    assert failed.blocks
    assert "FeatureValidator.find_trouble could not run" in failed.message


def test_wrong_use_is_no_finding(data, monkeypatch):
    def refuse(data, config):
        raise InputError("wrong")

    monkeypatch.setitem(core.CHECKS, "find_trouble", refuse)
    with pytest.raises(InputError):
        core.judge(data(train={"x": [1.0]}), CONFIG)


def test_every_finding_is_complete_and_fits_into_json(data, feature):
    train = {f"f{i}": RNG.normal(i, 1 + i, 400) for i in range(8)}
    other = {f"f{i}": 1000 * RNG.normal(i, 1 + i, 100) for i in range(8)}
    splits = data(
        [SchemaAnomaly("eval", None, (), "few")],
        train={
            **train,
            "c": RNG.choice(["a", "b"], 400),
            "flat": np.zeros(400),
            "large": RNG.normal(0, 1e4, 400),
            "gone": np.zeros(400),
            "ragged": feature("ragged", np.ones(400), max_values=3),
        },
        eval={
            **other,
            "c": RNG.choice(["A", "B"], 100),
            "flat": [np.nan] * 99 + [np.inf],
            "large": RNG.normal(0, 1e4, 100),
            "ragged": ["text"],
        },
    )
    found = core.judge(splits, CONFIG)
    assert {finding.cause for finding in found} == {
        "train_eval_skew",
        "schema_anomaly",
        "not_a_number",
        "low_variance",
        "unscaled_input",
    }
    for finding in found:
        json.dumps(finding.evidence, allow_nan=False)
        assert finding.found_by == "FeatureValidator"
        assert finding.message.endswith((".", "few"))
