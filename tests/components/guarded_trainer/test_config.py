# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.guarded_trainer.config import ImageInput, InputConfig, TrainingConfig


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(patience=None, hyperparameters={"units": [8, 4], "x": None}),
        InputConfig(label_key="y", features=("b", "a"), ignore=("id",)),
        InputConfig(label_key="y", image=ImageInput(feature="f", height=2, width=3)),
    ],
)
def test_round_trip(config):
    assert type(config).from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("epochs", 1, 0),
        ("batch_size", 1, 0),
        ("learning_rate", 1e-9, 0.0),
        ("learning_rate", 1.0, float("nan")),
        ("learning_rate", 1.0, float("inf")),
        ("patience", 1, 0),
        ("held_out_share", 0.0, -0.01),
        ("held_out_share", 0.99, 1.0),
        ("min_held_out", 1, 0),
        ("recalibration_examples", 1, 0),
        ("seed", 0, -1),
        ("seed", 2**32 - 1, 2**32),
    ],
)
def test_limits(field, good, bad):
    assert getattr(TrainingConfig(**{field: good}), field) == good
    with pytest.raises(pydantic.ValidationError, match=field):
        TrainingConfig(**{field: bad})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"height": 0}, "height"),
        ({"width": 0}, "width"),
        ({"channels": 2}, "channels"),
        ({"feature": ""}, "feature"),
    ],
)
def test_image_limits(changes, field):
    good = {"feature": "f", "height": 1, "width": 1}
    assert ImageInput(**good).channels == 3
    with pytest.raises(pydantic.ValidationError, match=field):
        ImageInput(**{**good, **changes})


def test_label_key_is_needed():
    for arguments in ({}, {"label_key": ""}):
        with pytest.raises(pydantic.ValidationError, match="label_key"):
            InputConfig(**arguments)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_hyperparameters_are_json(value):
    with pytest.raises(pydantic.ValidationError, match="hyperparameters"):
        TrainingConfig(hyperparameters={"x": value})
