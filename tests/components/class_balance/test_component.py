# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.types import channel, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings
from components.class_balance.component import ClassBalanceValidator
from components.class_balance.config import ClassBalanceConfig
from components.errors import InputError

STATISTICS = channel.Channel(type=standard_artifacts.ExampleStatistics)
SCHEMA = channel.Channel(type=standard_artifacts.Schema)


def test_declares_its_outputs():
    component = ClassBalanceValidator(statistics=STATISTICS, label_key="y")
    assert {key: output.type for key, output in component.outputs.items()} == {
        "findings": GuardFindings,
        "class_weights": ClassWeights,
        "anomalies": standard_artifacts.ExampleAnomalies,
    }


def test_schema_is_optional():
    assert "schema" not in ClassBalanceValidator(STATISTICS, "y").inputs
    assert ClassBalanceValidator(STATISTICS, "y", SCHEMA).inputs["schema"] is SCHEMA


def test_configuration_travels_as_json():
    config = ClassBalanceConfig(min_evenness=0.25)
    component = ClassBalanceValidator(STATISTICS, "y", config=config)
    assert component.exec_properties["label_key"] == "y"
    carried = component.exec_properties["config"]
    assert ClassBalanceConfig.from_json(carried) == config


def test_empty_label_key_is_refused():
    with pytest.raises(InputError, match="label_key"):
        ClassBalanceValidator(STATISTICS, "")
