# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.class_balance.config import ClassBalanceConfig, Weighting


def test_round_trip_through_json():
    config = ClassBalanceConfig(
        exclude_splits=("test",), weighting=Weighting.NONE, min_relative_share=0.25
    )
    assert ClassBalanceConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0},
        {"beta": 1},
        {"max_weight_ratio": 0.99},
        {"max_weight_ratio": float("inf")},
        {"min_examples_per_class": 0},
        {"min_relative_share": float("nan")},
        {"min_evenness": 1.01},
        {"max_unlabelled_share": 1},
        {"train_split": ""},
        {"train_split": "a", "exclude_splits": ("a",)},
        {"min_evenes": 0.5},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(pydantic.ValidationError):
        ClassBalanceConfig(**settings)
