# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.guarded_trainer.transfer.settings import TransferConfig


@pytest.mark.parametrize(
    ("weights", "is_pretrained", "file"),
    [
        ("imagenet", True, None),
        ("none", False, None),
        ("base.weights.h5", True, "base.weights.h5"),
    ],
)
def test_weights_are_a_name_a_file_or_none(weights, is_pretrained, file):
    config = TransferConfig(backbone="Xception", weights=weights)
    assert config.is_pretrained is is_pretrained
    assert config.weights_file == file


@pytest.mark.parametrize("unfreeze", [0, 1, 99, "all"])
def test_unfreeze_counts_stages(unfreeze):
    config = TransferConfig(backbone="Xception", unfreeze=unfreeze)
    assert TransferConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"unfreeze": -1},
        {"unfreeze": "some"},
        {"unfreeze": True},
        {"unfreeze": 1.5},
        {"dropout": 1.0},
        {"hidden_units": (0,)},
        {"fine_tuning_rate": 0.0},
        {"fine_tuning_rate": float("inf")},
        {"head_epochs": 0},
        {"max_distance": 0.0},
        {"significance": 1.0},
        {"weights": ""},
        {"backbone": ""},
        {"pooling": "none"},
    ],
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        TransferConfig(**{"backbone": "Xception", **wrong})
