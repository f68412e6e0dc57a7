# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.feature_validator.config import FeatureConfig


def test_round_trip_through_json():
    config = FeatureConfig(label_key="y", ignore=("id",), features=("a",), max_scale=9)
    assert FeatureConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "settings",
    [
        {"label_key": ""},
        {"max_missing_share": 1.1},
        {"max_scale": 1},
        {"min_scale_factor": float("inf")},
        {"gross_distance": float("nan")},
        {"significance": 0},
        {"exclude_splits": ("train",)},
        {"features": ("a", "b"), "ignore": ("b",)},
        {"ignored": ("a",)},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(pydantic.ValidationError):
        FeatureConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "judged"),
    [
        ({}, {"a", "y", "id"}),
        ({"label_key": "y"}, {"a", "id"}),
        ({"label_key": "y", "ignore": ("id",)}, {"a"}),
        ({"features": ("a",)}, {"a"}),
        ({"features": ("a", "y"), "label_key": "y"}, {"a"}),
    ],
)
def test_inputs_of_the_model_are_judged(settings, judged):
    config = FeatureConfig(**settings)
    assert {name for name in ("a", "y", "id") if config.is_judged(name)} == judged
