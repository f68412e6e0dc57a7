# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.guarded_trainer.device.settings import DeviceConfig


def test_settings_travel_as_json():
    config = DeviceConfig(require_gpu=True, precision="mixed_float16", xla="on")
    assert DeviceConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"precision": "float16"},
        {"distribution": "tpu"},
        {"xla": True},
        {"min_replica_batch": 0},
        {"gpu": True},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        DeviceConfig(**wrong)
