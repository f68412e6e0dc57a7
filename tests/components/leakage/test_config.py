# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.leakage.config import LeakageConfig


@pytest.mark.parametrize(
    "config",
    [
        LeakageConfig(),
        LeakageConfig(
            ignore=("id",),
            reference_split="fit",
            max_duplicate_share=1,
            max_conflict_share=0,
            max_evidence=0,
        ),
        LeakageConfig(
            image="image",
            group="patient",
            time="day",
            tolerances={"width": 0.1},
            expected_predictors=("code",),
            quarantine=True,
        ),
    ],
)
def test_config_survives_json(config):
    assert LeakageConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_duplicate_share": -0.01},
        {"max_duplicate_share": 1.01},
        {"max_duplicate_share": float("nan")},
        {"max_conflict_share": 2},
        {"max_evidence": -1},
        {"reference_split": ""},
        {"ignore": [""]},
        {"ignore": "id"},
        {"max_duplicates": 0.1},
        {"max_near_duplicate_share": 2},
        {"max_unreadable_share": -1},
        {"relative_tolerance": float("inf")},
        {"tolerances": {"width": -1}},
        {"sample_size": 10},
        {"image": "x", "ignore": ["x"]},
        {"image": "x", "group": "x"},
        {"image": "x", "time": "x"},
    ],
    ids=str,
)
def test_wrong_values_and_unknown_keys_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        LeakageConfig.model_validate(wrong)


def test_ignored_features_group_and_time_are_no_content():
    config = LeakageConfig(ignore=("id", "day"), group="patient", time="day")
    assert config.no_content == ("id", "day", "patient")
    assert LeakageConfig().no_content == ()
