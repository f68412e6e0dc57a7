# SPDX-License-Identifier: Apache-2.0
from tfx.types import channel, standard_artifacts

from components.artifacts import GuardFindings
from components.feature_validator.component import FeatureValidator
from components.feature_validator.config import FeatureConfig

STATISTICS = channel.Channel(type=standard_artifacts.ExampleStatistics)
SCHEMA = channel.Channel(type=standard_artifacts.Schema)
ANOMALIES = channel.Channel(type=standard_artifacts.ExampleAnomalies)


def test_declares_its_outputs():
    component = FeatureValidator(statistics=STATISTICS)
    assert {key: output.type for key, output in component.outputs.items()} == {
        "findings": GuardFindings,
        "anomalies": standard_artifacts.ExampleAnomalies,
    }


def test_schema_and_anomalies_are_optional():
    assert set(FeatureValidator(STATISTICS).inputs) == {"statistics"}
    inputs = FeatureValidator(STATISTICS, SCHEMA, ANOMALIES).inputs
    assert inputs["schema"] is SCHEMA
    assert inputs["schema_anomalies"] is ANOMALIES


def test_configuration_travels_as_json():
    config = FeatureConfig(label_key="y", ignore=("id",))
    carried = FeatureValidator(STATISTICS, config=config).exec_properties["config"]
    assert FeatureConfig.from_json(carried) == config
